// The ways to keep a clip, each an ordinary link. What is not made yet is made when it is asked for, and that is said.

import * as api from './api.js';
import {size} from './sizes.js';
import {put, putPlain} from './words.js';

// in the order in which people want them
const ORDER = ['live-photo', 'motion-photo', 'gif', 'mp4', 'webp'];

export class Downloads {
  constructor(list, template) {
    Object.assign(this, {list, template, rows: new Map()});
  }

  get first() {
    return this.list.querySelector('a');
  }

  show(piece) {
    if (this.piece !== piece) {
      this.clear();
      this.piece = piece;
    }
    const results = [...piece.told.results].sort((a, b) => ORDER.indexOf(a.format) - ORDER.indexOf(b.format));
    for (const result of results) this.fill(this.row(result.format), result);
  }

  clear() {
    this.piece = null;
    this.rows.clear();
    this.list.replaceChildren();
  }

  row(format) {
    if (this.rows.has(format)) return this.rows.get(format);
    const item = this.template.content.firstElementChild.cloneNode(true);
    item.dataset.format = format;
    const link = item.querySelector('a');
    link.classList.toggle('primary', !this.rows.size);
    put(item.querySelector('.name'), `format_${format}`);
    put(item.querySelector('.help'), `format_${format}_help`);
    link.addEventListener('click', () => this.ask(item));
    this.list.append(item);
    this.rows.set(format, item);
    return item;
  }

  fill(item, result) {
    item.result = result;
    const link = item.querySelector('a');
    link.href = `${result.url}&download=1`;
    link.download = result.name;
    putPlain(item.querySelector('.note'), result.note ?? '');
    if (item.dataset.state !== 'making') this.tellSize(item);
  }

  tellSize(item) {
    const place = item.querySelector('.size');
    if (item.result.bytes === null) put(place, 'when_asked');
    else putPlain(place, size(item.result.bytes));
  }

  // The link itself fetches the file; meanwhile this finds out how it goes.
  async ask(item) {
    if (item.result.bytes !== null || item.dataset.state === 'making') return;
    const {piece} = this;
    item.dataset.state = 'making';
    put(item.querySelector('.size'), 'being_made');
    putPlain(item.querySelector('.wrong'));
    try {
      await api.make(item.result.url);
      delete item.dataset.state;
      await piece.look();
    } catch (error) {
      this.tellWhy(item, error);
    }
    delete item.dataset.state;
    this.tellSize(item);
  }

  tellWhy(item, error) {
    const place = item.querySelector('.wrong');
    if (error instanceof api.Refusal && error.message) putPlain(place, error.message);
    else put(place, 'not_made');
  }
}
