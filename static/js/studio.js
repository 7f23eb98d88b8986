// The studio: one photo on the table, and what is being done with it. How it looks follows data-state alone.

import {Bell} from './bell.js';
import {Compare} from './compare.js';
import {Downloads} from './downloads.js';
import {Intake} from './intake.js';
import * as memory from './memory.js';
import {Notice} from './notice.js';
import {close} from './photo.js';
import {Piece} from './piece.js';
import {Primary} from './primary.js';
import {Progress} from './progress.js';
import {Settings} from './settings.js';
import {Stage} from './stage.js';
import {Strip} from './strip.js';
import {put, say} from './words.js';

// the photo itself is at fault, so trying the same again is no use
const UNUSABLE = [
  'upload_too_large', 'too_many_pixels', 'unreadable_image', 'empty_image', 'damaged_image', 'unknown_kind', 'camera_raw',
];
const TITLES = {done: 'done_title', failed: 'failed_title'};
// how long the page may wait for the piece that was on the table before it invites
const PATIENCE = 500;
// until a clip that could not be fetched is tried again
const RETRY = 3000;

const byId = (name) => document.getElementById(name);

export class Studio {
  constructor(form, pieces) {
    Object.assign(this, {form, pieces, piece: null, before: null, busy: new Set()});
    form.noValidate = true;
    this.notice = new Notice(byId('notice'));
    this.intake = new Intake(Number(form.dataset.maxBytes), {
      tell: (...words) => this.notice.tell(...words),
      tellWhy: (...words) => this.notice.tellWhy(...words),
    });
    this.settings = new Settings(byId('settings'), () => this.noteChange());
    this.primary = new Primary(form, byId('start'));
    this.progress = new Progress(byId('progress'), byId('sentence'), byId('status'));
    this.stage = new Stage(form);
    this.downloads = new Downloads(byId('downloads'), byId('download'));
    this.compare = new Compare(byId('live'));
    this.bell = new Bell(byId('bell'));
    this.strip = new Strip(byId('before'), byId('tile'), pieces, {
      open: (piece) => this.open(piece),
      remove: (piece) => this.remove(piece),
    });
    pieces.addEventListener('change', ({detail}) => this.note(detail));
    pieces.addEventListener('gone', ({detail}) => this.lose(detail));
    this.listen();
  }

  listen() {
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.act();
    });
    byId('cancel').addEventListener('click', () => this.cancel());
    byId('another').addEventListener('click', () => byId('file').click());
    byId('again').addEventListener('click', () => {
      this.settings.keepSeed('');
      this.make();
    });
    byId('keep-seed').addEventListener('click', () => this.settings.keepSeed(this.piece.told.seed));
  }

  // Begins with what was on the table before a reload, or else with what is at work.
  async begin() {
    const patience = setTimeout(() => this.enter('empty', {isQuiet: true}), PATIENCE);
    await this.pieces.restore();
    clearTimeout(patience);
    if (!this.state) this.enter('empty', {isQuiet: true});
  }

  get state() {
    return this.form.dataset.state;
  }

  // how many photos the primary button sends
  get count() {
    return this.piece.state === 'ready' ? this.pieces.ready.length : 1;
  }

  get isFree() {
    return !this.piece && !this.intake.isOpen;
  }

  // `words` is the sentence for screen readers, `focus` what the keyboard goes on with.
  enter(state, {words = null, focus = null, isQuiet = false} = {}) {
    const isBack = isQuiet || this.state === 'working' && state === 'done';
    if (state !== 'working') this.progress.stop();
    this.form.dataset.state = state;
    byId('settings').disabled = state === 'working';
    byId('cancel').removeAttribute('aria-disabled');
    this.strip.mark(this.piece, state);
    this.sayTitle();
    if (words) put(byId('status'), ...words);
    if (!isQuiet && isAdrift(this.form)) focus?.focus({preventScroll: true});
    if (!isBack) window.scrollTo({top: 0});
  }

  sayTitle() {
    if (this.state !== 'working') document.title = say(TITLES[this.state] ?? 'title');
  }

  // The language has been switched; what the server says comes in its own words.
  async sayAnew() {
    this.strip.sayAnew();
    this.sayTitle();
    if (this.state === 'working') this.progress.tick();
    else if (this.piece?.id) await this.piece.look().catch(() => {});
  }

  // ---- photos come ----

  async take(files) {
    const pieces = await this.intake.take(files);
    if (pieces.length) this.layOut(pieces);
  }

  layOut(pieces) {
    const earlier = this.pieces.ready;
    pieces.forEach((piece, place) => this.pieces.add(piece, place));
    const [piece] = pieces;
    this.put(piece);
    earlier.forEach((one) => this.pieces.drop(one));
    this.enter('chosen', {words: ['chosen', {name: piece.title}], focus: byId('start')});
  }

  // ---- what is on the table ----

  // Puts a piece there; what was there goes on by itself.
  put(piece) {
    const had = this.piece;
    had?.watch(false);
    this.piece = piece;
    if (had?.photo !== piece.photo) {
      close(had?.photo);
      this.before = null;
      this.downloads.clear();
    }
    this.stage.rest();
    this.stage.lay(piece.photo?.isOpen ? piece.photo : null, piece.ratio, piece.title);
    this.compare.show(false);
    this.form.removeAttribute('data-changed');
    delete this.form.dataset.clip;
    memory.table(piece.id);
    piece.watch(true);
    this.primary.offerStart(this.count);
  }

  // A piece of the strip, with its settings.
  async open(piece, {isQuiet = false} = {}) {
    this.intake.stop();
    if (piece === this.piece) {
      window.scrollTo({top: 0});
      return;
    }
    this.notice.tell('info');
    this.put(piece);
    if (piece.told) this.settings.fill(piece.told.parameters);
    this.stage.preview(piece.told?.preview);
    this.show({isQuiet});
    await this.fetchPhoto(piece);
  }

  async fetchPhoto(piece) {
    try {
      await piece.open();
    } catch (error) {
      // a clip is seen without its photo too
      if (piece === this.piece && !piece.told) await this.fail(piece, error);
      return;
    }
    if (piece === this.piece) this.stage.lay(piece.photo, piece.ratio, piece.title);
    else if (piece.photo !== this.piece?.photo) close(piece.photo);
  }

  clear(words) {
    close(this.piece?.photo);
    this.piece?.watch(false);
    this.piece = this.before = null;
    memory.table(null);
    this.stage.rest();
    this.stage.lay(null);
    this.downloads.clear();
    this.enter('empty', {words, focus: byId('file')});
  }

  // ---- what is heard of pieces ----

  note(piece) {
    if (piece.isBusy) this.busy.add(piece);
    else if (this.busy.delete(piece) && ['done', 'failed'].includes(piece.state)) this.bell.ring(piece);
    if (piece === this.piece) {
      if (piece.id) memory.table(piece.id);
      this.show();
    } else if (this.isFree && piece.id && (piece.isBusy || piece.id === memory.tabled() && piece.state !== 'cancelled')) {
      this.open(piece, {isQuiet: true});
    }
    this.strip.mark(this.piece, this.state);
  }

  // Shows the piece on the table as it is now.
  show(how = {}) {
    const {piece} = this;
    if (piece.isBusy) this.work(piece, how);
    else if (piece.state === 'done') this.finish(piece, how);
    else if (piece.state === 'failed') this.fail(piece, piece.error ?? piece.told.error, how);
    else if (piece.state === 'cancelled' || this.state === 'working') this.goBack(how);
    else if (this.state !== 'chosen') this.enter('chosen', {focus: byId('start'), ...how});
  }

  work(piece, how) {
    if (this.progress.piece === piece) {
      this.progress.hear();
    } else {
      this.bell.offer();
      this.enter('working', {words: ['working'], focus: byId('cancel'), ...how});
      this.progress.start(piece);
    }
    if (piece.isStopping) byId('cancel').setAttribute('aria-disabled', 'true');
    this.stage.preview(piece.told?.preview);
  }

  async finish(piece, how) {
    this.downloads.show(piece);
    put(byId('made'), 'made_with', {seed: piece.told.seed, engine: [piece.told.engine]});
    if (this.form.dataset.clip === piece.id) return;
    this.form.dataset.clip = piece.id;
    // opened, it is seen at once; made just now, it takes the photo's place without a flash
    if (this.state !== 'working') this.enter('done', {focus: this.downloads.first, ...how});
    const isSeen = await this.play(piece);
    if (piece !== this.piece) return;
    if (!isSeen) this.notice.tell('wrong', 'clip_lost');
    if (this.state === 'done') return;
    this.form.removeAttribute('data-changed');
    this.primary.offerStart();
    this.enter('done', {words: ['done'], focus: this.downloads.first, ...how});
  }

  // The clip where the photo was; as often as it takes to get it.
  async play(piece) {
    const gif = piece.told.results.find(({format}) => format === 'gif');
    try {
      await this.stage.play(gif.url, piece.name);
      if (piece !== this.piece) this.stage.rest();
      else if (piece.isUnseen) this.notice.tell('info');
      piece.isUnseen = false;
    } catch {
      piece.isUnseen = true;
      setTimeout(() => {
        if (piece === this.piece) this.play(piece);
      }, RETRY);
    }
    return !piece.isUnseen;
  }

  async fail(piece, error, how = {}) {
    const field = this.settings.find(error.field);
    if (field) {
      if (!piece.id) piece.own = 'ready';
      this.strip.show(piece);
      this.enter('chosen');
      this.settings.tellWrong(field, error.message);
      return;
    }
    const canBeRead = await this.notice.tellWhy(error, piece);
    if (piece !== this.piece) return;
    if (!canBeRead || UNUSABLE.includes(error.code)) this.primary.offerAnotherPhoto();
    else if (this.state !== 'failed') this.primary.offerRetry(error.retryAfter ?? 0);
    if (this.state !== 'failed') this.enter('failed', {focus: byId('start'), ...how});
  }

  // It is no longer there: deleted here, or gone on the server.
  lose(piece) {
    this.busy.delete(piece);
    if (piece === this.before) this.before = null;
    if (piece === this.piece && piece.isUnwanted) this.clear(['deleted', {name: piece.name}]);
    else if (piece === this.piece && piece.id) this.keepPhoto(piece);
    else if (this.state === 'chosen') this.primary.offerStart(this.count);
    this.strip.mark(this.piece, this.state);
  }

  // The job has gone; what is needed to begin anew stays.
  keepPhoto(piece) {
    if (piece.photo?.isOpen) {
      const next = new Piece(piece);
      next.id = null;
      this.pieces.add(next);
      this.put(next);
      this.enter('chosen', {focus: byId('start')});
    } else this.clear();
    this.notice.tell('wrong', 'gone');
  }

  // ---- what is done with it ----

  act() {
    if (this.state === 'working' || this.primary.isWaiting) return;
    if (this.primary.isForAnotherPhoto) byId('file').click();
    else if (this.piece) this.make();
  }

  make() {
    if (!this.settings.isValid()) return;
    this.intake.stop();
    this.notice.tell('info');
    const {piece} = this;
    const others = this.pieces.ready.filter((one) => one !== piece);
    const list = piece.state === 'ready' ? [piece, ...others] : [piece.id ? this.another(piece) : piece];
    this.pieces.send(list, this.settings.values());
  }

  // The same photo once more; the clip there is stays until the next is there.
  another(piece) {
    const next = piece.another();
    const isChanged = this.form.hasAttribute('data-changed');
    const before = piece.state === 'done' ? piece : this.before;
    const kept = this.downloads.piece;
    this.pieces.add(next);
    this.put(next);
    if (!next.photo?.isOpen) this.fetchPhoto(next);
    this.before = before;
    if (kept) this.downloads.show(kept);
    this.form.toggleAttribute('data-changed', isChanged);
    return next;
  }

  async cancel() {
    try {
      await this.piece.cancel();
    } catch {
      this.notice.tell('wrong', 'unreachable');
    }
  }

  // After a cancel: to the clip there was before, or else to the photo.
  goBack(how) {
    const {before, piece} = this;
    const wasWorking = this.state === 'working';
    const words = wasWorking ? ['cancelled'] : null;
    if (wasWorking && before) {
      const isChanged = this.form.hasAttribute('data-changed');
      this.put(before);
      if (!piece.id) this.pieces.drop(piece);
      this.enter('chosen', {words, isQuiet: true});
      this.show();
      this.form.toggleAttribute('data-changed', isChanged);
      return;
    }
    this.primary.offerStart(this.count);
    this.enter('chosen', {words, focus: byId('start'), ...how});
  }

  // Tells whether it has worked.
  async remove(piece) {
    piece.isUnwanted = true;
    if (!piece.id) {
      this.pieces.drop(piece);
      return true;
    }
    try {
      await piece.remove();
      return true;
    } catch (error) {
      piece.isUnwanted = false;
      await this.notice.tellWhy(error, piece);
      return false;
    }
  }

  noteChange() {
    this.form.toggleAttribute('data-changed', this.state === 'done');
  }
}

// Whether the keyboard has nowhere to go on: what it was on has vanished, or it stands among the buttons that change.
function isAdrift(form) {
  const {activeElement} = document;
  if (!activeElement || activeElement === document.body || !activeElement.checkVisibility()) return true;
  return activeElement.id === 'file' || Boolean(activeElement.closest('.deed')) && form.contains(activeElement);
}
