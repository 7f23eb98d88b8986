// The loop on the empty page: a picture, over which a video plays once all that matters more has come.

import {prefersStillness} from './moving.js';

export class Loop {
  constructor(form, place) {
    Object.assign(this, {form, place});
    new MutationObserver(() => this.follow()).observe(form, {attributeFilter: ['data-state']});
    if (document.readyState === 'complete') this.follow();
    else addEventListener('load', () => this.follow());
  }

  // Plays where it is seen, and wanted.
  follow() {
    if (this.form.dataset.state !== 'empty') this.video?.pause();
    else if (this.video) this.play();
    else if (document.readyState === 'complete' && !prefersStillness() && !navigator.connection?.saveData) this.fetch();
  }

  fetch() {
    const video = this.video = document.createElement('video');
    Object.assign(video, {muted: true, loop: true, playsInline: true});
    for (const name of ['muted', 'playsinline']) video.setAttribute(name, '');
    video.addEventListener('playing', () => this.place.append(video), {once: true});
    video.src = this.place.dataset.video;
    this.play();
  }

  play() {
    this.video.play().catch(() => {});
  }
}
