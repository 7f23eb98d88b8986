// Every format in one row, each an ordinary link. What is not made yet is made when it is asked for, and that is said.

import * as api from './api.js';
import {size} from './sizes.js';
import {put, putPlain, putRefusal} from './words.js';

export class Downloads {
  // `refresh` asks the server how the job is now.
  constructor(list, {refresh}) {
    Object.assign(this, {list, refresh, rows: new Map()});
    this.template = document.getElementById('download');
    this.help = document.getElementById('format-help');
    this.clear();
  }

  show(job) {
    if (this.id !== job.id) {
      this.clear();
      this.id = job.id;
    }
    // the server lists them in the order in which people want them
    for (const result of job.results) this.fill(this.row(result.format), result);
  }

  clear() {
    this.id = null;
    this.rows.clear();
    this.list.replaceChildren();
    put(this.help, 'formats_note');
  }

  row(format) {
    if (this.rows.has(format)) return this.rows.get(format);
    const item = this.template.content.firstElementChild.cloneNode(true);
    item.dataset.format = format;
    const link = item.querySelector('a');
    put(item.querySelector('.name'), `format_${format}`);
    link.addEventListener('click', () => this.ask(item));
    for (const name of ['click', 'focus', 'pointerenter']) link.addEventListener(name, () => this.explain(format));
    this.list.append(item);
    this.rows.set(format, item);
    return item;
  }

  // What it is good for, and how it comes to the phone.
  explain(format) {
    put(this.help, `format_${format}_help`);
  }

  fill(item, result) {
    item.result = result;
    const link = item.querySelector('a');
    link.href = `${result.url}&download=1`;
    link.download = result.name;
    putPlain(item.querySelector('.note'), result.note ?? '');
    if (item.dataset.state !== 'making') this.showSize(item);
  }

  showSize(item) {
    const place = item.querySelector('.size');
    if (item.result.bytes === null) put(place, 'when_asked');
    else putPlain(place, size(item.result.bytes));
  }

  // The link itself fetches the file; meanwhile this finds out how it goes.
  async ask(item) {
    if (item.result.bytes !== null || item.dataset.state === 'making') return;
    item.dataset.state = 'making';
    put(item.querySelector('.size'), 'being_made');
    putPlain(item.querySelector('.wrong'));
    try {
      await api.make(item.result.url);
      delete item.dataset.state;
      await this.refresh();
    } catch (error) {
      this.showError(item, error);
    }
    delete item.dataset.state;
    this.showSize(item);
  }

  showError(item, error) {
    const place = item.querySelector('.wrong');
    if (error instanceof api.Refusal && error.message) putRefusal(place, error);
    else put(place, 'not_made');
  }
}
