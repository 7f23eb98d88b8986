// One photo and what becomes of it: first only here, then a job on the server.
//
// States: ready (chosen), waiting (its turn to be sent has not come), sending, and then the job's own: queued, running,
// done, failed, cancelled. What the server refuses at once has failed without ever having had an id.

import * as api from './api.js';
import {Follower} from './follow.js';
import {isReadable, open} from './photo.js';

const SECOND = 1000;

// how long an upload that was called back may still be answered
const GRACE = 5000;

// the line is full, or the program is about to start anew: there is room again after a while
const TRANSIENT = ['queue_full', 'shutting_down'];

const ACTIVE = ['queued', 'running'];

export class Clip extends EventTarget {
  constructor({file = null, photo = null, name = stem(file.name), id = null, created = null, ratio = null, places = {}}) {
    super();
    // `places` is what is set on its photo, as fields of the form: focus, flow
    Object.assign(this, {file, photo, name, id, created, ratio, places, job: null, error: null, own: 'ready'});
  }

  get state() {
    return this.job?.state ?? this.own;
  }

  // on its way or at work
  get isBusy() {
    return ['waiting', 'sending', ...ACTIVE].includes(this.state);
  }

  get title() {
    return this.file?.name ?? this.name;
  }

  change(state = this.own, details = {}) {
    Object.assign(this, {own: state}, details);
    this.dispatchEvent(new Event('change'));
  }

  // ---- on its way ----

  // Sends it, as often as it takes while the line is full; resolves when it is accepted, refused or called back.
  async send(values) {
    this.leaving ??= new AbortController();
    const {signal} = this.leaving;
    try {
      while (!signal.aborted && !this.id) await this.trySending(values, signal);
      if (signal.aborted && !this.id) this.change('ready');
    } catch (error) {
      if (signal.aborted) this.change('ready');
      else this.change('failed', {error});
    } finally {
      this.leaving = null;
    }
  }

  // Stands before the sending of others; it can be called back already.
  queue() {
    this.leaving = new AbortController();
    this.change('waiting', {error: null, until: null});
  }

  async trySending(values, signal) {
    this.change('sending', {error: null, sent: 0, size: 0});
    const onSent = (sent, size) => this.change(this.own, {sent, size});
    try {
      this.accept(await deliver(await this.source(), values, {signal, onSent}));
    } catch (error) {
      const isTransient = error.status === 429 || TRANSIENT.includes(error.code);
      if (!isTransient || signal.aborted) throw error;
      await this.pause(Math.max(1, error.retryAfter), signal);
    }
  }

  pause(seconds, signal) {
    this.change('waiting', {until: Date.now() + seconds * SECOND});
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * SECOND);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  accept(job) {
    Object.assign(this, {id: job.id, name: job.name, created: job.created, accepted: Date.now()});
    this.update(job);
    if (this.isBusy) this.follow();
  }

  // ---- on the server ----

  update(job) {
    this.isLost = false;
    this.job = job;
    if (!ACTIVE.includes(job.state)) this.follower?.end();
    this.change();
  }

  follow() {
    this.follower ??= new Follower(this.id, {
      onJob: (job) => this.update(job),
      onGone: () => this.markGone(),
      onLost: (times) => {
        // one missed answer is nothing to speak of
        if (times > 1) this.change(this.own, {isLost: true});
      },
    });
    this.follower.prefer(Boolean(this.isWatched));
  }

  // On the table it is followed more closely.
  watch(isWatched) {
    this.isWatched = isWatched;
    if (this.id && ACTIVE.includes(this.state)) this.follow();
  }

  // Asks once how it is.
  async refresh() {
    try {
      this.update(await api.job(this.id));
    } catch (error) {
      if (error.status !== 404) throw error;
      this.markGone();
    }
  }

  markGone() {
    this.follower?.end();
    this.dispatchEvent(new Event('gone'));
  }

  async cancel() {
    this.leaving?.abort();
    if (!this.id) {
      if (this.own === 'waiting') this.change('ready');
      return;
    }
    this.change(this.own, {isStopping: true});
    try {
      this.update(await api.cancel(this.id));
    } catch (error) {
      this.isStopping = false;
      // it was quicker: what has ended is shown as it is
      if (error.status === 409 || error.status === 404) await this.refresh();
      else throw error;
    }
  }

  async remove() {
    this.leaving?.abort();
    if (this.id) {
      await api.remove(this.id).catch((error) => {
        if (error.status !== 404) throw error;
      });
    }
    this.markGone();
  }

  // ---- its photo ----

  // The photo's file, from here or from the server.
  async source() {
    const own = this.photo?.file ?? this.file;
    if (own && await isReadable(own)) return own;
    if (this.id) return api.photo(this.id, this.name);
    return this.origin ? this.origin.source() : own;
  }

  async open(signal) {
    if (!this.photo?.isOpen) this.photo = await open(await this.source(), signal);
    this.ratio = this.photo.width / this.photo.height;
    return this.photo;
  }

  // The same photo, to be made into another clip.
  another() {
    const {file, photo, name, ratio, places} = this;
    const next = new Clip({file: file ?? photo?.file, photo, name, ratio, places: {...places}});
    // a photo that is not at hand is fetched from the job that has it
    next.origin = this.id ? this : this.origin;
    return next;
  }
}

function stem(name) {
  return name.replace(/(.)\.[^.]*$/, '$1') || 'photo';
}

// Resolves with the job. Called back, it rejects at once, and what the server has accepted all the same is removed.
async function deliver(file, values, {signal, onSent}) {
  signal.throwIfAborted();
  const upload = new AbortController();
  const submission = api.submit(file, values, {
    signal: upload.signal,
    onSent: (...amounts) => signal.aborted || onSent(...amounts),
  });
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    signal.addEventListener('abort', () => {
      if (isAnswered) return;
      reject(signal.reason);
      setTimeout(() => upload.abort(), GRACE);
      submission.then(({id}) => api.remove(id)).catch(() => {});
    });
    submission.finally(() => { isAnswered = true; }).then(resolve, reject);
  });
}
