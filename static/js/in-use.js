// The settings a clip is being made with, to be read beside it: each name with its value, in words that follow the
// language.

import {put, putPlain} from './words.js';

export class InUse {
  constructor(section, fieldset) {
    Object.assign(this, {list: section.querySelector('dl'), leave: section.querySelector('p'), fieldset});
  }

  show() {
    this.list.replaceChildren(...[...this.fieldset.querySelectorAll('.setting')].flatMap(describe));
  }

  // What has arrived goes on without the page.
  mayLeave(isSafe) {
    this.leave.hidden = !isSafe;
  }
}

function describe(setting) {
  const name = document.createElement('dt');
  const value = document.createElement('dd');
  copy(setting.querySelector('.head [data-words]'), name);
  const chosen = setting.querySelector('input:checked')?.closest('label');
  value.classList.toggle('long', setting.querySelector('textarea') !== null);
  const words = chosen?.querySelector('[data-words]') ?? setting.querySelector('option:checked, output[data-words]');
  const plain = setting.querySelector('output, input, textarea')?.value;
  if (words) copy(words, value);
  else putPlain(value, plain);
  return words || plain ? [name, value] : [];
}

function copy({dataset}, place) {
  put(place, dataset.words, JSON.parse(dataset.values ?? '{}'));
}
