// Follows one job until it has ended: listens to its stream, or asks from time to time where the stream fails, is
// refused, or is held back by something in between. Never both at once.

import {job as ask, listen} from './api.js';

// milliseconds: patience with a stream that has said nothing yet, or nothing more
const FIRST_WORD = 4000;
const SILENCE = 15000;
// between two questions: usually, in a hidden tab, and at most while nobody answers
const OFTEN = 1500;
const HIDDEN = 6000;
const LOST = 5000;

const FINAL = ['done', 'failed', 'cancelled'];

export class Follower {
  // `callbacks` has onJob (what the server says), onLost (it says nothing), onGone (it knows no such job).
  constructor(id, callbacks) {
    Object.assign(this, {id, callbacks, failures: 0, prefersStream: false});
    this.wake = () => {
      if (!document.hidden) this.begin();
    };
    window.addEventListener('online', this.wake);
    window.addEventListener('pageshow', this.wake);
    document.addEventListener('visibilitychange', this.wake);
  }

  // A browser has few connections for one server: only the job that is looked at keeps one open.
  prefer(stream) {
    if (stream === this.prefersStream && this.hasBegun) return;
    this.prefersStream = stream;
    this.begin();
  }

  begin() {
    if (this.isOver) return;
    this.halt();
    this.hasBegun = true;
    if (this.prefersStream) this.listen();
    else this.poll();
  }

  halt() {
    this.close?.();
    this.close = null;
    this.asking?.abort();
    clearTimeout(this.timer);
  }

  end() {
    this.isOver = true;
    this.halt();
    window.removeEventListener('online', this.wake);
    window.removeEventListener('pageshow', this.wake);
    document.removeEventListener('visibilitychange', this.wake);
  }

  receive(job) {
    this.last = JSON.stringify({...job, eta_seconds: null});
    if (FINAL.includes(job.state)) this.end();
    this.callbacks.onJob(job);
  }

  // ---- listening ----

  listen() {
    const receive = (job) => {
      this.later(() => this.check(), SILENCE);
      this.receive(job);
    };
    this.close = listen(this.id, receive, () => this.fallBack());
    this.later(() => this.check(), FIRST_WORD);
  }

  // The stream is silent: either nothing happens, or it does not get through.
  async check() {
    const before = this.last;
    const job = await this.fetchJob();
    if (!job) return;
    if (JSON.stringify({...job, eta_seconds: null}) === before) this.later(() => this.check(), SILENCE);
    else this.fallBack();
  }

  fallBack() {
    this.halt();
    this.poll();
  }

  // ---- asking ----

  async poll() {
    const hadFailed = this.failures > 0;
    const job = await this.fetchJob();
    if (!job) return;
    this.receive(job);
    if (this.isOver) return;
    if (hadFailed && this.prefersStream) this.begin();
    else this.later(() => this.poll(), document.hidden ? HIDDEN : OFTEN);
  }

  // What the server says; nothing where it does not, and then it is asked again later.
  async fetchJob() {
    this.asking = new AbortController();
    const {signal} = this.asking;
    try {
      const job = await ask(this.id, signal);
      this.failures = 0;
      return signal.aborted ? null : job;
    } catch (error) {
      if (!signal.aborted) this.miss(error);
      return null;
    }
  }

  miss(error) {
    if (error.status === 404) {
      this.end();
      this.callbacks.onGone();
      return;
    }
    this.failures += 1;
    this.close?.();
    this.callbacks.onLost(this.failures);
    this.later(() => this.poll(), Math.min(LOST, OFTEN * this.failures));
  }

  later(act, pause) {
    clearTimeout(this.timer);
    this.timer = setTimeout(act, pause);
  }
}
