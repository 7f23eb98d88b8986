// This browser's clips beside each other, newest first: still until they are pointed at, opened by a press.

import {language, put, putAttribute, putPlain} from './words.js';

export class Strip {
  // `acts` has open and remove, each given a piece.
  constructor(section, template, pieces, acts) {
    Object.assign(this, {section, template, pieces, acts, tiles: new Map()});
    this.list = section.querySelector('ul');
    pieces.addEventListener('change', ({detail}) => this.show(detail));
    pieces.addEventListener('gone', ({detail}) => this.leave(detail));
  }

  // The piece on the table is marked; alone and still at work, it needs no second place.
  mark(current, state) {
    this.current = current;
    let others = 0;
    for (const [piece, tile] of this.tiles) {
      tile.querySelector('.open').setAttribute('aria-current', String(piece === current));
      others += piece !== current;
    }
    this.section.hidden = !this.tiles.size || !others && state !== 'done' && state !== 'empty';
  }

  show(piece) {
    const tile = this.tiles.get(piece) ?? this.add(piece);
    tile.dataset.state = piece.state;
    const name = tile.querySelector('.name');
    if (name.textContent !== piece.name) name.textContent = piece.name;
    this.tell(piece, tile);
    const preview = piece.told?.preview;
    // while it is at work its first picture will do: the table shows the others
    if (preview && (piece.state === 'done' || tile.still.hidden)) picture(tile, preview);
  }

  tell(piece, tile = this.tiles.get(piece)) {
    const place = tile.querySelector('.told');
    const {told, state} = piece;
    if (state === 'done') putPlain(place, moment(told.finished ?? told.created));
    else if (state === 'running' && told.phase === 'step' && told.steps) {
      put(place, 'tile_step', {step: told.step, steps: told.steps});
    } else put(place, `tile_${state}`);
  }

  sayAnew() {
    for (const piece of this.tiles.keys()) this.tell(piece);
  }

  add(piece) {
    const tile = this.template.content.firstElementChild.cloneNode(true);
    tile.still = tile.querySelector('.still');
    if (piece.file) picture(tile, tile.url = URL.createObjectURL(piece.file));
    putAttribute(tile.querySelector('.remove'), 'aria-label', 'delete_clip', {name: piece.name});
    this.tiles.set(piece, tile);
    this.listen(piece, tile);
    const after = this.pieces.all.slice(this.pieces.all.indexOf(piece) + 1).find((one) => this.tiles.has(one));
    this.list.insertBefore(tile, after ? this.tiles.get(after) : null);
    return tile;
  }

  listen(piece, tile) {
    const button = tile.querySelector('.open');
    const moving = tile.querySelector('.moving');
    button.addEventListener('click', () => this.acts.open(piece));
    for (const name of ['pointerenter', 'focus']) button.addEventListener(name, () => play(piece, moving));
    for (const name of ['pointerleave', 'blur']) button.addEventListener(name, () => rest(moving));
    tile.querySelector('.remove').addEventListener('click', () => {
      if (piece.id) this.makeSure(tile, true);
      else this.acts.remove(piece);
    });
    tile.querySelector('.no').addEventListener('click', () => this.makeSure(tile, false));
    tile.querySelector('.yes').addEventListener('click', async () => {
      const isGone = await this.acts.remove(piece);
      if (!isGone) this.makeSure(tile, false);
    });
    tile.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && tile.hasAttribute('data-sure')) this.makeSure(tile, false);
    });
  }

  // Asks in place, once.
  makeSure(tile, isAsking) {
    tile.toggleAttribute('data-sure', isAsking);
    tile.querySelector('.sure').hidden = !isAsking;
    tile.querySelector(isAsking ? '.no' : '.remove').focus();
  }

  leave(piece) {
    const tile = this.tiles.get(piece);
    if (!tile) return;
    const hadFocus = tile.contains(document.activeElement);
    const next = (tile.nextElementSibling ?? tile.previousElementSibling)?.querySelector('.open');
    if (tile.url) URL.revokeObjectURL(tile.url);
    tile.remove();
    this.tiles.delete(piece);
    if (hadFocus) next?.focus();
  }
}

// What is seen changes once the next can be seen.
async function picture(tile, url) {
  if (tile.wanted === url) return;
  tile.wanted = url;
  const next = new Image();
  next.src = url;
  const isThere = await next.decode().then(() => true, () => false);
  if (!isThere || tile.wanted !== url) return;
  tile.still.src = url;
  tile.still.hidden = false;
}

async function play(piece, moving) {
  const gif = piece.told?.results.find(({format}) => format === 'gif');
  if (!gif) return;
  moving.src = gif.url;
  const isThere = await moving.decode().then(() => true, () => false);
  moving.hidden = !isThere || !moving.hasAttribute('src');
}

function rest(moving) {
  moving.hidden = true;
  moving.removeAttribute('src');
}

function moment(when) {
  const options = {month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit'};
  return new Intl.DateTimeFormat(language(), options).format(new Date(when));
}
