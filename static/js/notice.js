// What is said between the photo and the buttons: above all what went wrong, and with which file.

import {Refusal, Unreachable} from './api.js';
import {isReadable} from './photo.js';
import {put, putRefusal} from './words.js';

export class Notice {
  constructor(place) {
    this.place = place;
  }

  // A sentence of ours, or none.
  show(kind, key = '', values = {}) {
    const words = this.begin(key ? kind : '');
    if (key) put(words, key, values);
    this.reveal();
  }

  // An empty paragraph, under the file's name where there is one.
  begin(kind, name = '') {
    this.place.dataset.kind = kind;
    const parts = [];
    if (name) {
      const about = document.createElement('strong');
      about.textContent = name;
      parts.push(about);
    }
    const words = document.createElement('p');
    if (kind) parts.push(words);
    this.place.replaceChildren(...parts);
    return words;
  }

  // Tells whether the photo itself can still be read.
  async explain(error, clip) {
    const canBeRead = Boolean(clip.id) || !clip.file || await isReadable(clip.file);
    const words = this.begin('wrong', clip.title);
    // what the server says of a job is no Error
    const isAnswer = error instanceof Refusal || !(error instanceof Error);
    if (!canBeRead) put(words, 'unreadable_file');
    else if (error instanceof Unreachable) put(words, 'unreachable');
    else if (isAnswer && error.message) putRefusal(words, error);
    else put(words, 'strange_answer', {status: error.status ?? error.name});
    this.reveal();
    return canBeRead;
  }

  // On a small screen it may stand below what is seen.
  reveal() {
    if (this.place.dataset.kind === 'wrong') this.place.scrollIntoView({block: 'nearest'});
  }
}
