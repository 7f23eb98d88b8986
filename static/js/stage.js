// What is seen on the table: the photo, over it the picture of the clip as it forms, over that the clip.

import {close, openMoving} from './moving.js';
import {putAttribute} from './words.js';

const FADE = 200;
// between two pictures of the clip as it forms, so that they are not most of what is fetched
const PAUSE = 600;
// sides of clips are even, so shapes differ by a pixel
const SAME_SHAPE = 0.03;

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
    this.ratio = Math.min(3, Math.max(0.45, ratio || 1.6));
    this.form.style.setProperty('--ratio', this.ratio);
    this.photo.hidden = !photo;
    if (!photo) return;
    if (this.photo.getAttribute('src') !== photo.url) this.photo.src = photo.url;
    putAttribute(this.photo, 'alt', 'photo_alt', {name});
  }

  // Covers the stage where the shapes are the same, so that nothing is seen beside it.
  fit(element, width, height) {
    element.classList.toggle('covers', Math.abs(width / height / this.ratio - 1) < SAME_SHAPE);
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
    if (isThere && this.wanted) {
      const older = [...this.previews.children];
      this.fit(picture, picture.naturalWidth, picture.naturalHeight);
      this.previews.append(picture);
      setTimeout(() => older.forEach((one) => one.remove()), FADE);
    }
    setTimeout(() => {
      this.isFetching = false;
      if (this.wanted !== url) this.preview(this.wanted);
    }, PAUSE);
  }

  // Tells whether the clip is seen, or something else has been laid meanwhile; rejects where it cannot be had.
  async show({job, name, photo}) {
    this.showing = job;
    const poster = photo?.isOpen ? photo.url : job.preview ?? '';
    const {element, width, height} = await openMoving(job.results, poster);
    if (this.showing !== job) {
      close(element);
      return false;
    }
    element.id = this.clip.id;
    element.className = 'clip';
    element.dataset.job = job.id;
    this.fit(element, width, height);
    const isVideo = element instanceof HTMLVideoElement;
    putAttribute(element, isVideo ? 'aria-label' : 'alt', 'clip_alt', {name});
    close(this.clip);
    this.clip.replaceWith(element);
    this.clip = element;
    return true;
  }

  rest() {
    this.wanted = null;
    this.showing = null;
    this.previews.replaceChildren();
    this.clip.hidden = true;
    close(this.clip);
  }
}
