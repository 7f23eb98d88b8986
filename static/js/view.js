// What is seen of the clip on the table. How everything looks follows data-state of the form alone.

import {Badge} from './badge.js';
import {Bell} from './bell.js';
import {Downloads} from './downloads.js';
import {FlowSetting} from './flow/setting.js';
import {Focus} from './focus.js';
import {Gathering} from './gathering.js';
import {InUse} from './in-use.js';
import {MainAction} from './main-action.js';
import {Notice} from './notice.js';
import {Phone} from './phone.js';
import {Progress} from './progress.js';
import {Settings} from './settings.js';
import {Stage} from './stage.js';
import {StartButton} from './start-button.js';
import {Strip} from './strip.js';
import {put, say} from './words.js';

// the photo itself is at fault, so trying the same again is no use
const UNUSABLE = [
  'upload_too_large', 'too_many_pixels', 'unreadable_image', 'empty_image', 'damaged_image', 'unknown_kind', 'camera_raw',
];
const TITLES = {done: 'done_title', failed: 'failed_title'};
// until a clip that could not be fetched is tried again
const RETRY = 3000;

export const byId = (name) => document.getElementById(name);

export class View {
  // `acts` has open and remove, each given a clip of the strip.
  constructor(form, clips, acts) {
    Object.assign(this, {form, clip: null});
    this.side = form.querySelector('.side');
    form.noValidate = true;
    this.notice = new Notice(byId('notice'));
    this.settings = new Settings(byId('settings'), () => { this.isChanged = this.state === 'done'; });
    this.inUse = new InUse(byId('in-use'), byId('settings'));
    this.focus = new Focus(form, this.settings, {
      note: (focus) => this.clip && clips.place(this.clip, {focus}),
      showPhoto: () => this.state === 'done' && this.badge.show('still'),
    });
    this.flow = new FlowSetting(form, byId('flow-board'), this.settings, {
      note: (flow) => this.clip && clips.place(this.clip, {flow}),
      complain: () => this.notice.show('wrong', 'unreachable'),
    });
    this.startButton = new StartButton(form, byId('start'));
    this.progress = new Progress(byId('progress'), byId('sentence'), byId('status'), () => clips.tally);
    this.stage = new Stage(form);
    this.action = new MainAction(byId('main-action'));
    this.downloads = new Downloads(byId('downloads'), {refresh: () => this.kept.refresh()});
    this.phone = new Phone(byId('phone'), byId('open-phone'), () => this.kept);
    this.badge = new Badge(form, byId('live'));
    this.bell = new Bell(byId('bell'));
    this.strip = new Strip(byId('before'), byId('tile'), clips, acts);
    const parts = {tally: byId('tally'), button: byId('save-all')};
    this.gathering = new Gathering(parts, clips, () => this.notice.show('wrong', 'zip_failed'));
  }

  get state() {
    return this.form.dataset.state;
  }

  // whether the settings are no longer those of the clip that is seen
  get isChanged() {
    return this.form.hasAttribute('data-changed');
  }

  set isChanged(isChanged) {
    this.form.toggleAttribute('data-changed', isChanged);
  }

  // `words` is the sentence for screen readers, `focus` what the keyboard goes on with.
  enter(state, {words = null, focus = null, isQuiet = false} = {}) {
    const isBack = isQuiet || this.state === 'working' && state === 'done';
    if (state !== 'working') this.progress.stop();
    this.form.dataset.state = state;
    byId('settings').disabled = state === 'working';
    byId('cancel').removeAttribute('aria-disabled');
    this.markStrip();
    this.showTitle();
    if (words) put(byId('status'), ...words);
    if (!isQuiet && isAdrift(this.form)) focus?.focus({preventScroll: true});
    if (!isBack) window.scrollTo({top: 0});
    this.side.scrollTo({top: 0});
  }

  markStrip() {
    this.strip.mark(this.clip, this.state);
  }

  showTitle() {
    if (this.state !== 'working') document.title = say(TITLES[this.state] ?? 'title');
  }

  // The language has been switched.
  translate() {
    this.strip.translate();
    this.showTitle();
    if (this.state === 'working') this.progress.tick();
  }

  // Puts a clip on the table, or nothing; `count` is how many photos the start button sends.
  lay(clip, count = 1) {
    if (!clip || this.clip?.photo !== clip.photo) this.downloads.clear();
    if (this.clip !== clip) this.flow.leave();
    this.clip = clip;
    this.stage.rest();
    this.badge.clear();
    this.layPhoto();
    if (!clip) return;
    this.isChanged = false;
    delete this.form.dataset.clip;
    this.startButton.offerStart(count);
    this.markStrip();
  }

  layPhoto() {
    const {photo, ratio, title} = this.clip ?? {};
    this.stage.lay(photo?.isOpen ? photo : null, ratio, title);
    this.flow.showPhoto();
  }

  // ---- the clip on the table at work, done, failed ----

  showWork(how) {
    const {clip} = this;
    if (this.progress.clip === clip) {
      this.progress.update();
    } else {
      this.bell.offer();
      this.inUse.show();
      this.enter('working', {words: ['working'], focus: byId('cancel'), ...how});
      this.progress.start(clip);
    }
    this.inUse.mayLeave(Boolean(clip.id));
    if (clip.isStopping) byId('cancel').setAttribute('aria-disabled', 'true');
    this.stage.preview(clip.job?.preview);
  }

  // The ways to keep a clip; it is not the one on the table while that is made of the same photo.
  showKeeping(clip) {
    this.kept = clip;
    this.action.show(clip.job);
    this.downloads.show(clip.job);
  }

  async showResult(how) {
    const {clip} = this;
    this.showKeeping(clip);
    put(byId('made'), 'made_with', {seed: clip.job.seed, engine: [clip.job.engine]});
    if (this.form.dataset.clip === clip.id) return;
    this.form.dataset.clip = clip.id;
    this.badge.load();
    // opened, it is seen at once; made just now, it takes the photo's place without a flash
    if (this.state === 'working') this.progress.update();
    else this.enter('done', {focus: this.action.link, ...how});
    const isSeen = await this.play(clip);
    if (clip !== this.clip) return;
    if (!isSeen) this.notice.show('wrong', 'clip_lost');
    if (this.state === 'done') return;
    this.isChanged = false;
    this.startButton.offerStart();
    this.enter('done', {words: ['done'], focus: this.action.link, ...how});
  }

  // The clip where the photo was; as often as it takes to get it.
  async play(clip) {
    try {
      const isSeen = await this.stage.show(clip);
      if (isSeen) this.badge.begin(this.stage.clip);
      if (isSeen && clip.isUnseen) this.notice.show('info');
      clip.isUnseen = false;
    } catch {
      clip.isUnseen = true;
      setTimeout(() => {
        if (clip === this.clip) this.play(clip);
      }, RETRY);
    }
    return !clip.isUnseen;
  }

  async showError(error, how = {}) {
    const {clip} = this;
    const field = this.settings.find(error.field);
    if (field) {
      if (!clip.id) clip.own = 'ready';
      this.strip.show(clip);
      this.enter('chosen');
      this.settings.showError(field, error);
      return;
    }
    const canBeRead = await this.notice.explain(error, clip);
    if (clip !== this.clip) return;
    if (!canBeRead || UNUSABLE.includes(error.code)) this.startButton.offerAnotherPhoto();
    else if (this.state !== 'failed') this.startButton.offerRetry(error.retryAfter ?? 0);
    if (this.state !== 'failed') this.enter('failed', {focus: byId('start'), ...how});
  }
}

// Whether the keyboard has nowhere to go on: what it was on has vanished, or it stands among the buttons that change.
function isAdrift(form) {
  const {activeElement} = document;
  if (!activeElement || activeElement === document.body || !activeElement.checkVisibility()) return true;
  return activeElement.id === 'file' || Boolean(activeElement.closest('.actions')) && form.contains(activeElement);
}
