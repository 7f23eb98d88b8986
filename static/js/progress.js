// What is said of a photo on its way: a sentence, the tab's title, the bar; and to a screen reader no more than every
// quarter.

import {Countdown, span} from './countdown.js';
import {size} from './sizes.js';
import {put, say} from './words.js';

const SECOND = 1000;
// until then it is not known whether anybody is ahead
const MOMENT = 3000;
const PLACES = ['', 'in_line_next', 'in_line_second', 'in_line_third'];

// how far a job is when a phase begins, and when it ends
const SHARES = {step: [0, 0.85], decoding: [0.85, 0.9], writing: [0.9, 1]};

export class Progress {
  // `findTally` gives {done, total} of several photos, or nothing.
  constructor(bar, sentence, status, findTally) {
    Object.assign(this, {bar, sentence, status, findTally});
  }

  start(clip) {
    this.stop();
    Object.assign(this, {clip, countdown: new Countdown(), part: 0, quarter: 0, job: null, place: ''});
    this.timer = setInterval(() => this.tick(), SECOND);
    this.update();
  }

  stop() {
    clearInterval(this.timer);
    this.clip = null;
  }

  // Something has changed.
  update() {
    const {job} = this.clip;
    if (job && job !== this.job) {
      // a queue's time and a job's own are not one clock
      if (job.state !== this.job?.state) Object.assign(this, {countdown: new Countdown(), part: 0});
      this.job = job;
      this.countdown.update(job.eta_seconds);
      this.part = Math.max(this.part, share(job));
    }
    if (this.clip.state === 'sending') this.part = this.clip.sent / this.clip.size || 0;
    this.fill();
    this.tick();
    this.announce();
  }

  fill() {
    this.bar.style.setProperty('--part', this.part);
    if (this.part) this.bar.setAttribute('aria-valuenow', Math.floor(100 * this.part));
    else this.bar.removeAttribute('aria-valuenow');
  }

  tick() {
    const tally = this.findTally();
    const [key, values] = tally ? ['with_tally', {where: this.words(), tally: ['tally', tally]}] : this.words();
    put(this.sentence, key, values);
    document.title = say(key, values);
    this.bar.setAttribute('aria-valuetext', document.title);
  }

  announce() {
    const {state} = this.clip;
    const place = this.clip.isLost ? 'lost' : state;
    if (place !== this.place && ['waiting', 'queued', 'lost'].includes(place)) put(this.status, ...this.words());
    this.place = place;
    if (!this.job) return;
    const quarter = Math.floor(4 * this.part);
    if (quarter > this.quarter && quarter < 4) put(this.status, 'percent', {percent: 25 * quarter});
    this.quarter = quarter;
  }

  words() {
    const {clip} = this;
    const where = whereabouts(clip);
    const seconds = this.countdown.left;
    if (seconds === null || clip.isLost || clip.isStopping) return where;
    if (where[0] === 'accepted_photo') return where;
    if (clip.state === 'queued') return ['about', {where, time: span(seconds)}];
    return [seconds < 90 ? 'left' : 'left_about', {where, time: span(seconds)}];
  }
}

function whereabouts(clip) {
  const {job, state, until} = clip;
  if (clip.isStopping) return ['stopping'];
  if (clip.isLost) return ['lost'];
  if (state === 'waiting') {
    if (!until) return ['waiting_turn'];
    return ['line_full', {time: span(Math.max(1, Math.ceil((until - Date.now()) / SECOND)))}];
  }
  if (state === 'sending') return sending(clip);
  if (state === 'done') return ['loading_clip'];
  if (state === 'queued') {
    if ((job.position ?? 1) === 1 && Date.now() - clip.accepted < MOMENT) return ['accepted_photo', {}];
    const ahead = (job.position ?? 1) - 1;
    return PLACES[ahead + 1] ? [PLACES[ahead + 1], {}] : ['in_line_nth', {place: ahead + 1}];
  }
  if (job?.phase === 'step' && job.steps) return ['phase_step', {step: job.step, steps: job.steps}];
  return [job?.phase ? `phase_${job.phase}` : 'phase_loading', {}];
}

function sending({sent, size: total}) {
  if (!sent) return ['sending', {}];
  if (sent >= total) return ['checking', {}];
  return ['sending_part', {percent: Math.floor(100 * sent / total), done: size(sent), total: size(total)}];
}

function share({state, phase, step, steps}) {
  if (state === 'done') return 1;
  const [from, to] = SHARES[phase] ?? [0, 0];
  return from + (steps ? Math.min(1, step / steps) * (to - from) : 0);
}
