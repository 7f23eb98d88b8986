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
    settings.fieldset.addEventListener('shown', ({target}) => target.name === 'flow' && this.show());
    this.photo.addEventListener('load', () => this.show());
    this.show();
  }

  // The field; none where the engine in use knows no flow.
  get field() {
    return this.settings.flow;
  }

  show() {
    const {field, photo} = this;
    if (!field) return;
    this.acts.note(field.value);
    const place = field.closest('.setting');
    const marks = parse(field.value);
    const flows = marks.filter(({kind}) => kind === 'flows').length;
    const stays = marks.length - flows;
    const words = !marks.length ? 'flow_none' : !stays ? 'flow_flowing' : !flows ? 'flow_staying' : 'flow_both';
    put(place.querySelector('output'), words, {flows, stays});
    place.toggleAttribute('data-drawn', marks.length > 0);
    place.querySelector('.draw').disabled = photo.hidden || !photo.naturalWidth;
    if (photo.hidden || !photo.naturalWidth) return;
    const small = place.querySelector('.drawn');
    const picture = small.querySelector('img');
    if (picture.src !== photo.src) picture.src = photo.src;
    drawLines(small.querySelector('.marks'), marks, {ratio: photo.naturalWidth / photo.naturalHeight, pixel: PIXEL});
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
    if (!this.dialog.open && !photo.hidden && photo.naturalWidth && field === this.field) this.board.open(photo, field.value);
  }

  take(value) {
    if (this.field && this.field.value !== value) this.settings.set(this.field, value);
  }
}
