// The one main way to keep a clip on this device: the share sheet where there is one, else the file it knows best.

import * as api from './api.js';
import {deviceFormat, isPhone} from './device.js';
import {size} from './sizes.js';
import {put, putPlain} from './words.js';

export class MainAction {
  constructor(place) {
    this.link = place.querySelector('a');
    [this.name, this.size] = this.link.querySelectorAll('span');
    this.help = place.querySelector('.help');
    this.wrong = place.querySelector('.wrong');
    this.link.addEventListener('click', (event) => this.act(event));
  }

  show(job) {
    const result = job.results.find(({format}) => format === deviceFormat());
    const isSame = this.result?.url === result.url;
    this.result = result;
    this.link.href = `${result.url}&download=1`;
    this.link.download = result.name;
    putPlain(this.size, result.bytes === null ? '' : size(result.bytes));
    if (isSame) return;
    this.file = null;
    putPlain(this.wrong);
    this.canShare = isPhone() && canShare(result);
    put(this.name, this.canShare ? 'share' : `save_${result.format}`);
    put(this.help, `format_${result.format}_help`);
    if (this.canShare) this.fetch(result);
  }

  // A share sheet opens only at a tap, so the file has to be here before it.
  async fetch(result) {
    const file = await api.file(result).catch(() => null);
    if (this.result.url !== result.url) return;
    this.file = file;
    this.canShare = Boolean(file);
    put(this.name, file ? 'share' : `save_${result.format}`);
    if (file) putPlain(this.size, size(file.size));
  }

  act(event) {
    if (!this.canShare) return;
    event.preventDefault();
    if (this.file) this.share(this.file);
    else put(this.name, 'share_soon');
  }

  async share(file) {
    try {
      await navigator.share({files: [file]});
    } catch ({name}) {
      // closed without a choice
      if (name === 'AbortError') return;
      // then the link itself will do
      this.canShare = false;
      put(this.name, `save_${this.result.format}`);
      put(this.wrong, 'not_shared');
    }
  }
}

function canShare({name, type}) {
  return Boolean(navigator.canShare?.({files: [new File([''], name, {type})]}));
}
