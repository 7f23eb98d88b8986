// The badge on the clip: held, it shows the still photo for as long; tapped, it stops the clip or lets it play. It says
// LIVE only while something moves.

import {learn, hasLearned} from './memory.js';
import {prefersStillness} from './moving.js';
import {put, putAttribute} from './words.js';

const TAP = 300;
const HINT = 'compare';

export class Badge {
  constructor(form, button) {
    Object.assign(this, {form, button, pressed: null, clip: null});
    this.words = button.querySelector('[data-words]');
    button.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      button.setPointerCapture(event.pointerId);
      this.press();
    });
    for (const name of ['pointerup', 'pointercancel']) button.addEventListener(name, () => this.release());
    button.addEventListener('keydown', (event) => {
      if (event.key !== ' ' && event.key !== 'Enter') return;
      event.preventDefault();
      if (!event.repeat) this.press();
    });
    button.addEventListener('keyup', () => this.release());
    button.addEventListener('blur', () => this.release());
    button.addEventListener('contextmenu', (event) => event.preventDefault());
    // a screen reader clicks without a pointer or a key
    button.addEventListener('click', (event) => {
      if (event.detail === 0) this.show(this.state === 'playing' ? 'still' : 'playing');
    });
  }

  // none while there is no clip to be seen, loading, playing, paused (at a frame of the clip), still (the photo)
  get state() {
    return this.form.dataset.play ?? '';
  }

  clear() {
    this.clip = null;
    this.pressed = null;
    delete this.form.dataset.play;
    this.form.removeAttribute('data-hint');
  }

  load() {
    this.clear();
    this.form.dataset.play = 'loading';
  }

  // Nothing moves by itself for people who do not want that.
  begin(clip) {
    this.clip = clip;
    if (prefersStillness()) this.show(clip.pause ? 'paused' : 'still');
    else this.show('playing');
    this.form.toggleAttribute('data-hint', !hasLearned(HINT));
  }

  show(state) {
    this.form.dataset.play = state;
    const isPlaying = state === 'playing';
    put(this.words, isPlaying ? 'live' : 'play');
    putAttribute(this.button, 'aria-label', isPlaying ? 'compare' : 'play_clip');
    if (!isPlaying) this.clip?.pause?.();
    // a phone that saves its battery lets nothing play unasked
    else this.clip?.play?.().catch(({name}) => name === 'NotAllowedError' && this.show('paused'));
  }

  press() {
    this.pressed = {since: Date.now(), state: this.state};
    this.form.dataset.play = 'still';
    this.clip?.pause?.();
    learn(HINT);
  }

  release() {
    if (!this.pressed) return;
    const {since, state} = this.pressed;
    this.pressed = null;
    this.form.removeAttribute('data-hint');
    const isTap = Date.now() - since < TAP;
    if (!isTap) this.show(state);
    else this.show(state === 'playing' ? 'still' : 'playing');
  }
}
