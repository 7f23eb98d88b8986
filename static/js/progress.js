// What is said while a clip is made: a sentence, the tab's title, the bar. The page knows no steps yet, so the bar only
// shows that work goes on, and the sentence for how long.

import {health} from './api.js';
import {put, say} from './words.js';

const SECOND = 1000;
const LOOK_EVERY = 3;

export class Progress {
  constructor(bar, sentence) {
    this.bar = bar;
    this.sentence = sentence;
  }

  start() {
    this.started = Date.now();
    this.health = null;
    this.tick();
    this.timer = setInterval(() => this.tick(), SECOND);
  }

  stop() {
    clearInterval(this.timer);
  }

  tick() {
    const seconds = Math.round((Date.now() - this.started) / SECOND);
    if (seconds % LOOK_EVERY === 1) this.look();
    const [key, values] = this.words(seconds);
    put(this.sentence, key, values);
    document.title = say(key, values);
    this.bar.setAttribute('aria-valuetext', document.title);
  }

  words(seconds) {
    const time = seconds < 60
      ? ['seconds', {seconds}]
      : ['minutes', {minutes: Math.floor(seconds / 60), seconds: seconds % 60}];
    if (this.health?.status === 'STARTING') return ['warming_up', {time}];
    if (this.health?.waiting) return ['in_line', {time, count: this.health.waiting}];
    return ['making', {time}];
  }

  async look() {
    this.health = await health();
  }
}
