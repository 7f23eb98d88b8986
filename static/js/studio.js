// The studio: one photo on the table, and what is being done with it. How it looks follows data-state alone.

import {Bell} from './bell.js';
import {Compare} from './compare.js';
import {Downloads} from './downloads.js';
import {Intake} from './intake.js';
import * as memory from './memory.js';
import {Notice} from './notice.js';
import {close} from './photo.js';
import {Clip} from './clip.js';
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
// how long the page may wait for the clip that was on the table before it invites
const PATIENCE = 500;
// until a clip that could not be fetched is tried again
const RETRY = 3000;

const byId = (name) => document.getElementById(name);

export class Studio {
  constructor(form, clips) {
    Object.assign(this, {form, clips, clip: null, before: null, busy: new Set()});
    form.noValidate = true;
    this.notice = new Notice(byId('notice'));
    this.intake = new Intake(Number(form.dataset.maxBytes), {
      show: (...words) => this.notice.show(...words),
      explain: (...words) => this.notice.explain(...words),
    });
    this.settings = new Settings(byId('settings'), () => this.noteChange());
    this.primary = new Primary(form, byId('start'));
    this.progress = new Progress(byId('progress'), byId('sentence'), byId('status'));
    this.stage = new Stage(form);
    this.downloads = new Downloads(byId('downloads'), byId('download'));
    this.compare = new Compare(byId('live'));
    this.bell = new Bell(byId('bell'));
    this.strip = new Strip(byId('before'), byId('tile'), clips, {
      open: (clip) => this.open(clip),
      remove: (clip) => this.remove(clip),
    });
    clips.addEventListener('change', ({detail}) => this.note(detail));
    clips.addEventListener('gone', ({detail}) => this.lose(detail));
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
    byId('keep-seed').addEventListener('click', () => this.settings.keepSeed(this.clip.job.seed));
  }

  // Begins with what was on the table before a reload, or else with what is at work.
  async begin() {
    const patience = setTimeout(() => this.enter('empty', {isQuiet: true}), PATIENCE);
    await this.clips.restore();
    clearTimeout(patience);
    if (!this.state) this.enter('empty', {isQuiet: true});
  }

  get state() {
    return this.form.dataset.state;
  }

  // how many photos the primary button sends
  get count() {
    return this.clip.state === 'ready' ? this.clips.ready.length : 1;
  }

  get isFree() {
    return !this.clip && !this.intake.isOpen;
  }

  // `words` is the sentence for screen readers, `focus` what the keyboard goes on with.
  enter(state, {words = null, focus = null, isQuiet = false} = {}) {
    const isBack = isQuiet || this.state === 'working' && state === 'done';
    if (state !== 'working') this.progress.stop();
    this.form.dataset.state = state;
    byId('settings').disabled = state === 'working';
    byId('cancel').removeAttribute('aria-disabled');
    this.strip.mark(this.clip, state);
    this.showTitle();
    if (words) put(byId('status'), ...words);
    if (!isQuiet && isAdrift(this.form)) focus?.focus({preventScroll: true});
    if (!isBack) window.scrollTo({top: 0});
  }

  showTitle() {
    if (this.state !== 'working') document.title = say(TITLES[this.state] ?? 'title');
  }

  // The language has been switched; what the server says comes in its own words.
  async translate() {
    this.strip.translate();
    this.showTitle();
    if (this.state === 'working') this.progress.tick();
    else if (this.clip?.id) await this.clip.refresh().catch(() => {});
  }

  // ---- photos come ----

  async take(files) {
    const clips = await this.intake.take(files);
    if (clips.length) this.layOut(clips);
  }

  layOut(clips) {
    const earlier = this.clips.ready;
    clips.forEach((clip, place) => this.clips.add(clip, place));
    const [clip] = clips;
    this.put(clip);
    earlier.forEach((one) => this.clips.drop(one));
    this.enter('chosen', {words: ['chosen', {name: clip.title}], focus: byId('start')});
  }

  // ---- what is on the table ----

  // Puts a clip there; what was there goes on by itself.
  put(clip) {
    const had = this.clip;
    had?.watch(false);
    this.clip = clip;
    if (had?.photo !== clip.photo) {
      close(had?.photo);
      this.before = null;
      this.downloads.clear();
    }
    this.stage.rest();
    this.stage.lay(clip.photo?.isOpen ? clip.photo : null, clip.ratio, clip.title);
    this.compare.show(false);
    this.form.removeAttribute('data-changed');
    delete this.form.dataset.clip;
    memory.setCurrentId(clip.id);
    clip.watch(true);
    this.primary.offerStart(this.count);
  }

  // A clip of the strip, with its settings.
  async open(clip, {isQuiet = false} = {}) {
    this.intake.stop();
    if (clip === this.clip) {
      window.scrollTo({top: 0});
      return;
    }
    this.notice.show('info');
    this.put(clip);
    if (clip.job) this.settings.fill(clip.job.parameters);
    this.stage.preview(clip.job?.preview);
    this.show({isQuiet});
    await this.fetchPhoto(clip);
  }

  async fetchPhoto(clip) {
    try {
      await clip.open();
    } catch (error) {
      // a clip is seen without its photo too
      if (clip === this.clip && !clip.job) await this.fail(clip, error);
      return;
    }
    if (clip === this.clip) this.stage.lay(clip.photo, clip.ratio, clip.title);
    else if (clip.photo !== this.clip?.photo) close(clip.photo);
  }

  clear(words) {
    close(this.clip?.photo);
    this.clip?.watch(false);
    this.clip = this.before = null;
    memory.setCurrentId(null);
    this.stage.rest();
    this.stage.lay(null);
    this.downloads.clear();
    this.enter('empty', {words, focus: byId('file')});
  }

  // ---- clips change ----

  note(clip) {
    if (clip.isBusy) this.busy.add(clip);
    else if (this.busy.delete(clip) && ['done', 'failed'].includes(clip.state)) this.bell.ring(clip);
    if (clip === this.clip) {
      if (clip.id) memory.setCurrentId(clip.id);
      this.show();
    } else if (this.isFree && clip.id && (clip.isBusy || clip.id === memory.currentId() && clip.state !== 'cancelled')) {
      this.open(clip, {isQuiet: true});
    }
    this.strip.mark(this.clip, this.state);
  }

  // Shows the clip on the table as it is now.
  show(how = {}) {
    const {clip} = this;
    if (clip.isBusy) this.work(clip, how);
    else if (clip.state === 'done') this.finish(clip, how);
    else if (clip.state === 'failed') this.fail(clip, clip.error ?? clip.job.error, how);
    else if (clip.state === 'cancelled' || this.state === 'working') this.goBack(how);
    else if (this.state !== 'chosen') this.enter('chosen', {focus: byId('start'), ...how});
  }

  work(clip, how) {
    if (this.progress.clip === clip) {
      this.progress.update();
    } else {
      this.bell.offer();
      this.enter('working', {words: ['working'], focus: byId('cancel'), ...how});
      this.progress.start(clip);
    }
    if (clip.isStopping) byId('cancel').setAttribute('aria-disabled', 'true');
    this.stage.preview(clip.job?.preview);
  }

  async finish(clip, how) {
    this.downloads.show(clip);
    put(byId('made'), 'made_with', {seed: clip.job.seed, engine: [clip.job.engine]});
    if (this.form.dataset.clip === clip.id) return;
    this.form.dataset.clip = clip.id;
    // opened, it is seen at once; made just now, it takes the photo's place without a flash
    if (this.state !== 'working') this.enter('done', {focus: this.downloads.first, ...how});
    const isSeen = await this.play(clip);
    if (clip !== this.clip) return;
    if (!isSeen) this.notice.show('wrong', 'clip_lost');
    if (this.state === 'done') return;
    this.form.removeAttribute('data-changed');
    this.primary.offerStart();
    this.enter('done', {words: ['done'], focus: this.downloads.first, ...how});
  }

  // The clip where the photo was; as often as it takes to get it.
  async play(clip) {
    const gif = clip.job.results.find(({format}) => format === 'gif');
    try {
      await this.stage.play(gif.url, clip.name);
      if (clip !== this.clip) this.stage.rest();
      else if (clip.isUnseen) this.notice.show('info');
      clip.isUnseen = false;
    } catch {
      clip.isUnseen = true;
      setTimeout(() => {
        if (clip === this.clip) this.play(clip);
      }, RETRY);
    }
    return !clip.isUnseen;
  }

  async fail(clip, error, how = {}) {
    const field = this.settings.find(error.field);
    if (field) {
      if (!clip.id) clip.own = 'ready';
      this.strip.show(clip);
      this.enter('chosen');
      this.settings.showError(field, error.message);
      return;
    }
    const canBeRead = await this.notice.explain(error, clip);
    if (clip !== this.clip) return;
    if (!canBeRead || UNUSABLE.includes(error.code)) this.primary.offerAnotherPhoto();
    else if (this.state !== 'failed') this.primary.offerRetry(error.retryAfter ?? 0);
    if (this.state !== 'failed') this.enter('failed', {focus: byId('start'), ...how});
  }

  // It is no longer there: deleted here, or gone on the server.
  lose(clip) {
    this.busy.delete(clip);
    if (clip === this.before) this.before = null;
    if (clip === this.clip && clip.isUnwanted) this.clear(['deleted', {name: clip.name}]);
    else if (clip === this.clip && clip.id) this.keepPhoto(clip);
    else if (this.state === 'chosen') this.primary.offerStart(this.count);
    this.strip.mark(this.clip, this.state);
  }

  // The job has gone; what is needed to begin again stays.
  keepPhoto(clip) {
    if (clip.photo?.isOpen) {
      const next = new Clip(clip);
      next.id = null;
      this.clips.add(next);
      this.put(next);
      this.enter('chosen', {focus: byId('start')});
    } else this.clear();
    this.notice.show('wrong', 'gone');
  }

  // ---- what is done with it ----

  act() {
    if (this.state === 'working' || this.primary.isWaiting) return;
    if (this.primary.isForAnotherPhoto) byId('file').click();
    else if (this.clip) this.make();
  }

  make() {
    if (!this.settings.isValid()) return;
    this.intake.stop();
    this.notice.show('info');
    const {clip} = this;
    const others = this.clips.ready.filter((one) => one !== clip);
    const list = clip.state === 'ready' ? [clip, ...others] : [clip.id ? this.another(clip) : clip];
    this.clips.send(list, this.settings.values());
  }

  // The same photo once more; the clip there is stays until the next is there.
  another(clip) {
    const next = clip.another();
    const isChanged = this.form.hasAttribute('data-changed');
    const before = clip.state === 'done' ? clip : this.before;
    const kept = this.downloads.clip;
    this.clips.add(next);
    this.put(next);
    if (!next.photo?.isOpen) this.fetchPhoto(next);
    this.before = before;
    if (kept) this.downloads.show(kept);
    this.form.toggleAttribute('data-changed', isChanged);
    return next;
  }

  async cancel() {
    try {
      await this.clip.cancel();
    } catch {
      this.notice.show('wrong', 'unreachable');
    }
  }

  // After a cancel: to the clip there was before, or else to the photo.
  goBack(how) {
    const {before, clip} = this;
    const wasWorking = this.state === 'working';
    const words = wasWorking ? ['cancelled'] : null;
    if (wasWorking && before) {
      const isChanged = this.form.hasAttribute('data-changed');
      this.put(before);
      if (!clip.id) this.clips.drop(clip);
      this.enter('chosen', {words, isQuiet: true});
      this.show();
      this.form.toggleAttribute('data-changed', isChanged);
      return;
    }
    this.primary.offerStart(this.count);
    this.enter('chosen', {words, focus: byId('start'), ...how});
  }

  // Tells whether it has worked.
  async remove(clip) {
    clip.isUnwanted = true;
    if (!clip.id) {
      this.clips.drop(clip);
      return true;
    }
    try {
      await clip.remove();
      return true;
    } catch (error) {
      clip.isUnwanted = false;
      await this.notice.explain(error, clip);
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
  return activeElement.id === 'file' || Boolean(activeElement.closest('.actions')) && form.contains(activeElement);
}
