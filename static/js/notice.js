// What is said between the photo and the buttons: above all what went wrong.

import {Refusal, Unreachable} from './api.js';
import {isReadable} from './photo.js';
import {put, putPlain} from './words.js';

export class Notice {
  constructor(place) {
    this.place = place;
  }

  // A sentence of ours, or none.
  show(kind, key = '', values = {}) {
    this.place.dataset.kind = kind;
    if (key) put(this.place, key, values);
    else putPlain(this.place);
  }

  // Tells whether the photo itself can still be read.
  async explain(error, clip) {
    const canBeRead = Boolean(clip.id) || !clip.file || await isReadable(clip.file);
    // what the server says of a job is no Error
    const isAnswer = error instanceof Refusal || !(error instanceof Error);
    if (!canBeRead) this.show('wrong', 'unreadable_file');
    else if (error instanceof Unreachable) this.show('wrong', 'unreachable');
    else if (isAnswer && error.message) {
      this.show('wrong');
      putPlain(this.place, error.message);
    } else this.show('wrong', 'strange_answer', {status: error.status ?? error.name});
    return canBeRead;
  }
}
