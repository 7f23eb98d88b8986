// The point that stays in place and sharp: a tap on the photo sets it, the arrow keys move it; over a clip that plays, nothing
// does.

import {put, putAttribute} from './words.js';

const STEP = 0.02;
const ARROWS = {ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP]};

export class Focus {
  // `acts` has note, given the form's field whenever it may have changed, and showPhoto, which has the photo seen in a
  // clip's place.
  constructor(form, settings, {note, showPhoto}) {
    Object.assign(this, {settings, showPhoto, stage: form.querySelector('.stage'), mark: form.querySelector('#focus-mark')});
    this.photo = form.querySelector('#photo');
    this.stage.addEventListener('click', (event) => {
      if (event.target.matches('.photo')) this.tap(event);
    });
    this.mark.addEventListener('keydown', (event) => this.move(event));
    settings.fieldset.addEventListener('click', (event) => {
      if (event.target.closest('#focus-choose')) this.choose();
    });
    settings.fieldset.addEventListener('shown', ({target}) => {
      if (target.name === 'focus') note(target.value);
      this.show();
    });
    this.photo.addEventListener('load', () => this.show());
    this.show();
  }

  // The field; none where the engine in use has no focus.
  get field() {
    return this.settings.fields.find(({name}) => name === 'focus');
  }

  get point() {
    return this.field?.value ? this.field.value.split(',').map(Number) : null;
  }

  place(x, y) {
    if (!this.field || this.settings.fieldset.disabled) return;
    const inside = [x, y].map((part) => Math.round(1000 * Math.min(1, Math.max(0, part))) / 1000);
    this.settings.set(this.field, inside.join());
  }

  tap(event) {
    const box = this.box();
    const {left, top} = this.stage.getBoundingClientRect();
    this.place((event.clientX - left - box.left) / box.width, (event.clientY - top - box.top) / box.height);
  }

  move(event) {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const [x, y] = this.point ?? [0.5, 0.5];
    this.place(x + arrow[0], y + arrow[1]);
  }

  choose() {
    this.showPhoto();
    if (!this.point) this.place(0.5, 0.5);
    this.mark.focus();
  }

  show() {
    const {field, mark, point} = this;
    this.stage.toggleAttribute('data-focus', Boolean(field));
    mark.hidden = !point;
    if (!field) return;
    const words = point ? {x: Math.round(100 * point[0]), y: Math.round(100 * point[1])} : {};
    put(field.closest('.setting').querySelector('output'), point ? 'focus_at' : 'focus_none', words);
    if (!point) return;
    putAttribute(mark, 'aria-label', 'focus_mark', words);
    const box = this.box();
    const {width, height} = this.stage.getBoundingClientRect();
    mark.style.left = `${100 * (box.left + point[0] * box.width) / width}%`;
    mark.style.top = `${100 * (box.top + point[1] * box.height) / height}%`;
  }

  // Where the photo lies within the stage: whole, and in the middle.
  box() {
    const {width, height} = this.stage.getBoundingClientRect();
    const {naturalWidth, naturalHeight} = this.photo;
    const scale = Math.min(width / naturalWidth, height / naturalHeight) || 0;
    const drawn = [scale * naturalWidth || width, scale * naturalHeight || height];
    return {left: (width - drawn[0]) / 2, top: (height - drawn[1]) / 2, width: drawn[0], height: drawn[1]};
  }
}
