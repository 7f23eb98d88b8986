// This browser's clips beside each other, newest first: still until they are pointed at, opened by a press.

import {close, prefersStillness} from './moving.js';
import {language, put, putAttribute, putPlain} from './words.js';

export class Strip {
  // `acts` has open and remove, each given a clip.
  constructor(section, template, clips, acts) {
    Object.assign(this, {section, template, clips, acts, tiles: new Map()});
    this.list = section.querySelector('ul');
    clips.addEventListener('change', ({detail}) => this.show(detail));
    clips.addEventListener('gone', ({detail}) => this.leave(detail));
  }

  // The clip on the table is marked; alone and still at work, it needs no second place.
  mark(current, state) {
    this.current = current;
    let others = 0;
    for (const [clip, tile] of this.tiles) {
      tile.querySelector('.open').setAttribute('aria-current', String(clip === current));
      others += clip !== current;
    }
    this.section.hidden = !this.tiles.size || !others && state !== 'done' && state !== 'empty';
  }

  show(clip) {
    const tile = this.tiles.get(clip) ?? this.add(clip);
    tile.dataset.state = clip.state;
    const name = tile.querySelector('.name');
    if (name.textContent !== clip.name) name.textContent = clip.name;
    this.showStatus(clip, tile);
    const preview = clip.job?.preview;
    // while it is at work its first picture will do: the table shows the others
    if (preview && (clip.state === 'done' || tile.still.hidden)) picture(tile, preview);
  }

  showStatus(clip, tile = this.tiles.get(clip)) {
    const place = tile.querySelector('.caption');
    const {job, state} = clip;
    if (state === 'done') putPlain(place, moment(job.finished ?? job.created));
    else if (state === 'running' && job.phase === 'step' && job.steps) {
      put(place, 'tile_step', {step: job.step, steps: job.steps});
    } else if (state === 'sending' && clip.sent) {
      put(place, 'tile_sending_part', {percent: Math.floor(100 * clip.sent / clip.size)});
    } else put(place, `tile_${state}`);
  }

  translate() {
    for (const clip of this.tiles.keys()) this.showStatus(clip);
  }

  add(clip) {
    const tile = this.template.content.firstElementChild.cloneNode(true);
    tile.still = tile.querySelector('.still');
    if (clip.file) picture(tile, tile.url = URL.createObjectURL(clip.file));
    putAttribute(tile.querySelector('.remove'), 'aria-label', 'delete_clip', {name: clip.name});
    this.tiles.set(clip, tile);
    this.listen(clip, tile);
    const after = this.clips.all.slice(this.clips.all.indexOf(clip) + 1).find((one) => this.tiles.has(one));
    this.list.insertBefore(tile, after ? this.tiles.get(after) : null);
    // room for them below the photo; it stays when some go, so that nothing jumps
    if (this.tiles.size > 1) this.section.closest('form').toggleAttribute('data-several', true);
    // the newest is seen, wherever the strip has been scrolled to
    if (tile === this.list.firstElementChild) this.list.scrollTo({left: 0, behavior: 'instant'});
    return tile;
  }

  listen(clip, tile) {
    const button = tile.querySelector('.open');
    const moving = tile.querySelector('.moving');
    button.addEventListener('click', () => this.acts.open(clip));
    for (const name of ['pointerenter', 'focus']) button.addEventListener(name, () => play(clip, moving));
    for (const name of ['pointerleave', 'blur']) button.addEventListener(name, () => rest(moving));
    tile.querySelector('.remove').addEventListener('click', () => {
      if (clip.id) this.askToConfirm(tile, true);
      else this.acts.remove(clip);
    });
    tile.querySelector('.no').addEventListener('click', () => this.askToConfirm(tile, false));
    tile.querySelector('.yes').addEventListener('click', async () => {
      const isGone = await this.acts.remove(clip);
      if (!isGone) this.askToConfirm(tile, false);
    });
    tile.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && tile.hasAttribute('data-sure')) this.askToConfirm(tile, false);
    });
  }

  // Asks in place, once.
  askToConfirm(tile, isAsking) {
    tile.toggleAttribute('data-sure', isAsking);
    tile.querySelector('.sure').hidden = !isAsking;
    tile.querySelector(isAsking ? '.no' : '.remove').focus();
  }

  leave(clip) {
    const tile = this.tiles.get(clip);
    if (!tile) return;
    const hadFocus = tile.contains(document.activeElement);
    const next = (tile.nextElementSibling ?? tile.previousElementSibling)?.querySelector('.open');
    if (tile.url) URL.revokeObjectURL(tile.url);
    tile.remove();
    this.tiles.delete(clip);
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

async function play(clip, moving) {
  const video = clip.job?.results.find(({format}) => format === 'mp4');
  if (!video || prefersStillness()) return;
  moving.src = video.url;
  const isThere = await moving.play().then(() => true, () => false);
  moving.hidden = !isThere || !moving.hasAttribute('src');
}

function rest(moving) {
  moving.hidden = true;
  close(moving);
}

function moment(when) {
  const options = {month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit'};
  return new Intl.DateTimeFormat(language(), options).format(new Date(when));
}
