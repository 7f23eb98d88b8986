// The setting beside the photo: what is drawn, and the way to the board. The board itself is fetched when it is wanted.

import {put} from '../words.js';
import {drawLines} from './lines.js';
import {parse} from './marks.js';

// of a line in the small picture
const PIXEL = 14;

export class FlowSetting {
  // `acts` has note, given the form's field whenever it may have changed, and complain: the board cannot be had.
  constructor(form, dialog, settings, acts) {
    Object.assign(this, {dialog, settings, acts, photo: form.querySelector('#photo')});
    settings.fieldset.addEventListener('click', (event) => {
      if (event.target.closest('#flow-draw')) this.open();
    });
    settings.fieldset.addEventListener('shown', ({target}) => {
      if (!this.field) this.leave();
      else if (target.name === 'flow') this.show();
    });
    this.photo.addEventListener('load', () => this.showPhoto());
    this.show();
  }

  // The field; none where the engine in use knows no flow.
  get field() {
    return this.settings.flow;
  }

  show() {
    const {field} = this;
    if (!field) return;
    this.acts.note(field.value);
    const place = field.closest('.setting');
    const marks = parse(field.value);
    const flows = marks.filter(({kind}) => kind === 'flows').length;
    const stays = marks.length - flows;
    const words = !marks.length ? 'flow_none' : !stays ? 'flow_flowing' : !flows ? 'flow_staying' : 'flow_both';
    put(place.querySelector('output'), words, {flows, stays});
    place.toggleAttribute('data-drawn', marks.length > 0);
    this.showPhoto();
  }

  get isPhotoSeen() {
    return !this.photo.hidden && this.photo.naturalWidth > 0;
  }

  // The small picture, with what is drawn on it.
  showPhoto() {
    const {field, isPhotoSeen, photo} = this;
    if (!field) return;
    const button = field.closest('.setting').querySelector('.draw');
    const picture = button.querySelector('img');
    const lines = button.querySelector('.marks');
    button.disabled = !isPhotoSeen;
    if (!isPhotoSeen) {
      picture.removeAttribute('src');
      lines.replaceChildren();
      return;
    }
    if (picture.src !== photo.src) picture.src = photo.src;
    const ratio = photo.naturalWidth / photo.naturalHeight;
    drawLines(lines, parse(field.value), {ratio, pixel: PIXEL});
  }

  async open() {
    const {field, photo} = this;
    const module = await import('./board.js').catch(() => null);
    if (!module) {
      this.acts.complain();
      return;
    }
    this.board ??= new module.Board(this.dialog, document.getElementById('flow-mark'), (value) => this.take(value));
    await photo.decode().catch(() => {});
    // something else may be on the table by now; two quick presses open one board
    if (!this.dialog.open && this.isPhotoSeen && field === this.field) this.board.open(photo, field.value);
  }

  // What the board shows is no longer what is on the table.
  leave() {
    if (this.dialog.open) this.dialog.close();
  }

  take(value) {
    if (this.field && this.dialog.open && this.field.value !== value) this.settings.set(this.field, value);
  }
}
