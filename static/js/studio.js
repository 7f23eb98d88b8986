// The studio: one clip on the table, which photo it is made of, and what is done with it.

import {Clip} from './clip.js';
import {Intake} from './intake.js';
import * as memory from './memory.js';
import {close} from './photo.js';
import {byId, View} from './view.js';

// how long the page may wait for the clip that was on the table before it invites
const PATIENCE = 3000;

export class Studio {
  constructor(form, clips) {
    // `before` is the clip to go back to when the next one is cancelled
    Object.assign(this, {clips, before: null, busy: new Set(), isHome: false});
    this.view = new View(form, clips, {
      open: (clip) => this.open(clip),
      remove: (clip) => this.remove(clip),
    });
    this.intake = new Intake(Number(form.dataset.maxBytes), {
      show: (...words) => this.view.notice.show(...words),
      explain: (...words) => this.view.notice.explain(...words),
    });
    clips.addEventListener('change', ({detail}) => this.note(detail));
    clips.addEventListener('gone', ({detail}) => this.lose(detail));
    this.listen(form);
  }

  listen(form) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.act();
    });
    byId('cancel').addEventListener('click', () => this.cancel());
    byId('another').addEventListener('click', () => byId('file').click());
    byId('again').addEventListener('click', () => {
      const seed = this.settings.replaceSeed('');
      this.make();
      this.seed = seed;
    });
    document.querySelector('.wordmark').addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.goHome();
    });
    byId('keep-seed').addEventListener('click', () => this.settings.keepSeed(this.clip.job.seed));
  }

  get clip() {
    return this.view.clip;
  }

  get settings() {
    return this.view.settings;
  }

  // Begins with what was on the table before a reload, or else with photos that were not sent yet.
  async begin() {
    const invite = () => this.view.state === 'opening' && this.view.enter('empty', {isQuiet: true});
    const patience = setTimeout(invite, PATIENCE);
    const unsent = this.clips.kept.find();
    await this.clips.restore();
    if (!this.clip) await this.take(await unsent);
    clearTimeout(patience);
    invite();
  }

  // The language has been switched; what the server says comes in its own words.
  async translate() {
    this.view.translate();
    if (this.view.state !== 'working' && this.clip?.id) await this.clip.refresh().catch(() => {});
  }

  // how many photos the start button sends
  count(clip = this.clip) {
    return clip.state === 'ready' ? this.clips.ready.length : 1;
  }

  // ---- photos come ----

  async take(files) {
    const clips = files.length ? await this.intake.take(files) : [];
    if (clips.length) this.layOut(clips);
  }

  layOut(clips) {
    const earlier = this.clips.ready;
    clips.forEach((clip, place) => this.clips.add(clip, place));
    const [clip] = clips;
    this.put(clip);
    this.settings.showPlaces(clip.places);
    earlier.forEach((one) => this.clips.drop(one));
    this.view.enter('chosen', {words: ['chosen', {name: clip.title}], focus: byId('start')});
  }

  // ---- what is on the table ----

  // Puts a clip there; what was there goes on by itself.
  put(clip) {
    const had = this.clip;
    had?.watch(false);
    if (had?.photo !== clip.photo) {
      close(had?.photo);
      this.before = null;
    }
    this.isHome = false;
    this.view.lay(clip, this.count(clip));
    memory.setCurrentId(clip.id);
    clip.watch(true);
  }

  // A clip of the strip, with its settings.
  async open(clip, {isQuiet = false} = {}) {
    this.intake.stop();
    if (clip === this.clip) {
      window.scrollTo({top: 0});
      return;
    }
    this.view.notice.show('info');
    this.put(clip);
    this.settings.recall(clip);
    this.view.stage.preview(clip.job?.preview);
    this.show({isQuiet});
    await this.fetchPhoto(clip);
  }

  async fetchPhoto(clip) {
    try {
      await clip.open();
    } catch (error) {
      // a clip is seen without its photo too
      if (clip === this.clip && !clip.job) await this.view.showError(error);
      return;
    }
    if (clip === this.clip) this.view.layPhoto();
    else if (clip.photo !== this.clip?.photo) close(clip.photo);
  }

  clear(words) {
    close(this.clip?.photo);
    this.clip?.watch(false);
    this.before = null;
    memory.setCurrentId(null);
    this.view.lay(null);
    this.view.enter('empty', {words, focus: byId('file')});
  }

  // To the invitation; what is at work goes on, and is found below it.
  goHome() {
    this.intake.stop();
    this.view.notice.show('info');
    this.clear();
    this.isHome = true;
  }

  // ---- clips change ----

  note(clip) {
    const {view} = this;
    if (clip.isBusy) this.busy.add(clip);
    else if (this.busy.delete(clip) && ['done', 'failed'].includes(clip.state)) view.bell.ring(clip);
    if (clip.state === 'cancelled' && clip !== this.clip && !clip.isUnwanted) {
      this.remove(clip);
      return;
    }
    const isFree = !this.clip && !this.isHome && !this.intake.isOpen && !clip.isElsewhere;
    if (clip === this.clip) {
      if (clip.id) memory.setCurrentId(clip.id);
      this.show();
    } else if (isFree && clip.id && (clip.isBusy || clip.id === memory.currentId())) {
      this.open(clip, {isQuiet: true});
    }
    view.markStrip();
  }

  // Shows the clip on the table as it is now.
  show(how = {}) {
    const {clip, view} = this;
    if (clip.isBusy) view.showWork(how);
    else if (clip.state === 'done') view.showResult(how);
    else if (clip.state === 'failed') view.showError(clip.error ?? clip.job.error, how);
    else if (clip.state === 'cancelled' || view.state === 'working') this.goBack(how);
    else if (view.state !== 'chosen') view.enter('chosen', {focus: byId('start'), ...how});
  }

  // It is no longer there: deleted here, or gone on the server.
  lose(clip) {
    this.busy.delete(clip);
    if (clip === this.before) this.before = null;
    if (clip === this.clip && clip.isUnwanted) this.clear(['deleted', {name: clip.name}]);
    else if (clip === this.clip && clip.id) this.keepPhoto(clip);
    else if (this.view.state === 'chosen') this.view.startButton.offerStart(this.count());
    this.view.markStrip();
  }

  // The job has gone; what is needed to begin again stays.
  keepPhoto(clip) {
    if (clip.photo?.isOpen) {
      const next = new Clip(clip);
      next.id = null;
      this.clips.add(next);
      this.put(next);
      this.view.enter('chosen', {focus: byId('start')});
    } else this.clear();
    this.view.notice.show('wrong', 'gone');
  }

  // ---- what is done with it ----

  act() {
    const {startButton, state} = this.view;
    if (state === 'working' || startButton.isWaiting) return;
    if (startButton.isForAnotherPhoto) byId('file').click();
    else if (this.clip) this.make();
  }

  make() {
    if (!this.settings.isValid()) return;
    this.seed = '';
    this.intake.stop();
    this.view.notice.show('info');
    const {clip} = this;
    const others = this.clips.ready.filter((one) => one !== clip);
    const list = clip.state === 'ready' ? [clip, ...others] : [clip.id ? this.another(clip) : clip];
    // a video is what the page itself shows
    list.forEach((one, place) => this.clips.send([one], {...this.settings.values(place ? one : null), format: 'mp4'}));
  }

  // The same photo once more; the clip there is stays until the next is there.
  another(clip) {
    const {view} = this;
    const next = clip.another();
    const {isChanged} = view;
    const before = clip.state === 'done' ? clip : this.before;
    const {kept} = view;
    this.clips.add(next);
    this.put(next);
    if (!next.photo?.isOpen) this.fetchPhoto(next);
    this.before = before;
    if (kept?.photo === next.photo || kept === clip) view.showKeeping(kept);
    view.isChanged = isChanged;
    return next;
  }

  async cancel() {
    try {
      await this.clip.cancel();
    } catch {
      this.view.notice.show('wrong', 'unreachable');
    }
  }

  // After a cancel: to the clip there was before, or else to the photo.
  goBack(how) {
    const {before, clip, view} = this;
    const wasWorking = view.state === 'working';
    const words = wasWorking ? ['cancelled'] : null;
    if (this.seed) this.settings.replaceSeed(this.seed);
    this.seed = '';
    if (wasWorking && before) {
      const {isChanged} = view;
      this.put(before);
      this.remove(clip);
      view.enter('chosen', {words, isQuiet: true});
      this.show();
      view.isChanged = isChanged;
      return;
    }
    if (clip.id) this.layOutAgain(clip);
    view.startButton.offerStart(this.count());
    view.enter('chosen', {words, focus: byId('start'), ...how});
  }

  // The photo of a cancelled clip, in its place; the clip itself does not stay.
  layOutAgain(clip) {
    const next = clip.another();
    this.clips.add(next, this.clips.all.indexOf(clip));
    this.put(next);
    this.clips.drop(clip);
    // the photo may be on the server alone
    (next.photo?.isOpen ? Promise.resolve() : this.fetchPhoto(next)).then(() => clip.remove()).catch(() => {});
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
      await this.view.notice.explain(error, clip);
      return false;
    }
  }
}
