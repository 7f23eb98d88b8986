// What is seen on the table: the photo, over it the picture of the clip as it forms, over that the clip.

import {putAttribute} from './words.js';

const FADE = 200;

export class Stage {
  constructor(form) {
    this.form = form;
    this.photo = form.querySelector('#photo');
    this.previews = form.querySelector('#previews');
    this.clip = form.querySelector('#clip');
  }

  // `photo` may still be on its way: null.
  lay(photo, ratio, name) {
    // a very long or tall picture is shown whole within a stage of bearable shape
    this.form.style.setProperty('--ratio', Math.min(3, Math.max(0.45, ratio || 1.6)));
    this.photo.hidden = !photo;
    if (!photo) return;
    if (this.photo.getAttribute('src') !== photo.url) this.photo.src = photo.url;
    putAttribute(this.photo, 'alt', 'photo_alt', {name});
  }

  // The newest picture fades in once it can be shown without a flash; one at a time is fetched.
  async preview(url) {
    this.wanted = url;
    if (!url || this.isFetching || url === this.previews.lastElementChild?.getAttribute('src')) return;
    this.isFetching = true;
    const picture = new Image();
    picture.className = 'preview';
    picture.alt = '';
    picture.src = url;
    const isThere = await picture.decode().then(() => true, () => false);
    this.isFetching = false;
    if (isThere && this.wanted) {
      const older = [...this.previews.children];
      this.previews.append(picture);
      setTimeout(() => older.forEach((one) => one.remove()), FADE);
    }
    if (this.wanted !== url) this.preview(this.wanted);
  }

  // Resolves when the clip is seen; rejects where it cannot be had.
  async play(url, name) {
    const next = new Image();
    next.src = url;
    await next.decode();
    next.id = this.clip.id;
    next.className = this.clip.className;
    putAttribute(next, 'alt', 'clip_alt', {name});
    this.clip.replaceWith(next);
    this.clip = next;
  }

  rest() {
    this.wanted = null;
    this.previews.replaceChildren();
    this.clip.hidden = true;
    this.clip.removeAttribute('src');
  }
}
