// The studio: one photo on the table, and what is being done with it. How it looks follows data-state alone.

import * as api from './api.js';
import {Compare} from './compare.js';
import {isReadable, open} from './photo.js';
import {Primary} from './primary.js';
import {Progress} from './progress.js';
import {Result, megabytes} from './result.js';
import {Settings} from './settings.js';
import {put, putAttribute, putPlain, say} from './words.js';

// the photo itself is at fault, so trying the same again is no use
const CHOOSE_ANOTHER = [413, 415];

const TITLES = {done: 'done_title', failed: 'failed'};

const byId = (name) => document.getElementById(name);

export class Studio {
  constructor(form) {
    this.form = form;
    form.noValidate = true;
    this.settings = new Settings(byId('settings'), () => this.noteChange());
    this.primary = new Primary(form, byId('start'));
    this.progress = new Progress(byId('progress'), byId('sentence'));
    this.result = new Result(byId('clip'), byId('downloads'), byId('made'), byId('download'));
    this.compare = new Compare(byId('live'));
    this.enter('empty');
    this.listen();
  }

  listen() {
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.act();
    });
    byId('cancel').addEventListener('click', () => this.work.abort());
    byId('another').addEventListener('click', () => byId('file').click());
    byId('again').addEventListener('click', () => {
      this.settings.keepSeed('');
      this.make();
    });
    byId('keep-seed').addEventListener('click', () => this.settings.keepSeed(this.result.seed));
  }

  get state() {
    return this.form.dataset.state;
  }

  // `words` is the sentence for screen readers, `focus` what the keyboard goes on with.
  enter(state, {words = [], focus = null} = {}) {
    this.form.dataset.state = state;
    byId('settings').disabled = state === 'working';
    byId('photo').hidden = !this.photo;
    this.sayTitle();
    if (words.length) put(byId('status'), ...words);
    focus?.focus({preventScroll: true});
    window.scrollTo({top: 0});
  }

  sayTitle() {
    if (this.state !== 'working') document.title = say(TITLES[this.state] ?? 'title');
  }

  tell(kind, words = '', key = '', values = {}) {
    const notice = byId('notice');
    notice.dataset.kind = kind;
    if (key) put(notice, key, values);
    else putPlain(notice, words);
  }

  // ---- the photo ----

  async take(files) {
    if (this.state === 'working') return;
    const [file] = files;
    const limit = Number(this.form.dataset.maxBytes);
    this.opening?.abort();
    if (limit && file.size > limit) {
      this.tell('wrong', '', 'too_large', {size: megabytes(file.size), limit: megabytes(limit)});
      return;
    }
    this.opening = new AbortController();
    const {signal} = this.opening;
    this.tell('info', '', 'opening');
    try {
      const photo = await open(file, signal);
      if (signal.aborted) URL.revokeObjectURL(photo.url);
      else this.lay(file, photo, files.length);
    } catch (error) {
      if (!signal.aborted) await this.tellWhy(error, file);
    }
  }

  lay(file, photo, count) {
    if (this.photo) URL.revokeObjectURL(this.photo.url);
    this.photo = {...photo, file};
    this.result.forget();
    byId('photo').src = photo.url;
    putAttribute(byId('photo'), 'alt', 'photo_alt', {name: file.name});
    // a very long or tall picture is shown whole within a stage of bearable shape
    const ratio = Math.min(3, Math.max(0.45, photo.width / photo.height));
    this.form.style.setProperty('--ratio', ratio);
    this.tell('info');
    if (count > 1) this.tell('info', '', 'first_of_many', {count, name: file.name});
    this.primary.offerStart();
    this.enter('chosen', {words: ['chosen', {name: file.name}], focus: byId('start')});
  }

  // ---- the clip ----

  act() {
    if (this.state === 'working' || this.primary.isWaiting) return;
    if (this.primary.isForAnotherPhoto) byId('file').click();
    else if (this.photo) this.make();
  }

  async make() {
    if (!this.settings.isValid()) return;
    const {file} = this.photo;
    this.opening?.abort();
    this.work = new AbortController();
    this.tell('info');
    this.progress.start();
    this.enter('working', {words: ['working'], focus: byId('cancel')});
    try {
      const job = await api.generate(file, this.settings.values(), this.work.signal);
      await this.result.show(job, file.name);
      this.progress.stop();
      this.form.removeAttribute('data-changed');
      this.finish(['done']);
    } catch (error) {
      this.progress.stop();
      if (error.name === 'AbortError') this.goBack();
      else await this.fail(error, file);
    }
  }

  finish(words) {
    this.compare.show(false);
    this.primary.offerStart();
    this.enter('done', {words, focus: this.result.firstDownload});
  }

  // After a cancel: to the clip there was before, or else to the photo.
  goBack() {
    this.primary.offerStart();
    if (this.result.isThere) this.finish(['cancelled']);
    else this.enter('chosen', {words: ['cancelled'], focus: byId('start')});
  }

  async fail(error, file) {
    const field = this.settings.find(error.field);
    if (field) {
      this.enter('chosen');
      this.settings.tellWrong(field, error.message);
      return;
    }
    const canBeRead = await this.tellWhy(error, file);
    if (!canBeRead || CHOOSE_ANOTHER.includes(error.status)) this.primary.offerAnotherPhoto();
    else this.primary.offerRetry(error.retryAfter ?? 0);
    this.enter('failed', {focus: byId('start')});
  }

  // Says what went wrong where it happened; tells whether the file itself can still be read.
  async tellWhy(error, file) {
    const canBeRead = await isReadable(file);
    if (!canBeRead) this.tell('wrong', '', 'unreadable_file');
    else if (error instanceof api.Unreachable) this.tell('wrong', '', 'unreachable');
    else if (error instanceof api.Refusal && error.message) this.tell('wrong', error.message);
    else this.tell('wrong', '', 'strange_answer', {status: error.status ?? error.name});
    return canBeRead;
  }

  noteChange() {
    this.form.toggleAttribute('data-changed', this.state === 'done');
  }
}
