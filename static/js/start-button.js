// The start button: it starts the work, and after a failure it offers the one sensible next step.

import {put} from './words.js';

const SECOND = 1000;

export class StartButton {
  constructor(form, button) {
    Object.assign(this, {form, button});
  }

  get isWaiting() {
    return this.button.hasAttribute('aria-disabled');
  }

  get isForAnotherPhoto() {
    return this.form.dataset.next === 'choose';
  }

  offerStart(count = 1) {
    this.clear();
    if (count > 1) put(this.button, 'start_all', {count});
    else put(this.button, 'start');
  }

  offerAnotherPhoto() {
    this.clear();
    this.form.dataset.next = 'choose';
    put(this.button, 'choose_another');
  }

  // The server may ask for some seconds of patience.
  offerRetry(seconds) {
    this.clear();
    this.countDown(Date.now() + seconds * SECOND);
  }

  countDown(until) {
    const seconds = Math.ceil((until - Date.now()) / SECOND);
    if (seconds > 0) {
      // a disabled button would lose the focus
      this.button.setAttribute('aria-disabled', 'true');
      put(this.button, 'try_again_in', {seconds});
      this.timer = setTimeout(() => this.countDown(until), SECOND / 4);
      return;
    }
    this.button.removeAttribute('aria-disabled');
    put(this.button, 'try_again');
  }

  clear() {
    clearTimeout(this.timer);
    delete this.form.dataset.next;
    this.button.removeAttribute('aria-disabled');
  }
}
