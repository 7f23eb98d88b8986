// A finished clip: the picture, the downloads, and how it came about.

import {put, putAttribute} from './words.js';

export class Result {
  constructor(clip, list, made, template) {
    Object.assign(this, {clip, list, made, template});
    this.urls = [];
  }

  get isThere() {
    return this.urls.length > 0;
  }

  get firstDownload() {
    return this.list.querySelector('a');
  }

  // Resolves when the clip can be shown without a flash.
  async show(job, name) {
    this.forget();
    this.seed = job.seed;
    const results = job.results.map((result) => ({...result, url: URL.createObjectURL(result.blob)}));
    this.urls = results.map((result) => result.url);
    this.list.replaceChildren(...results.map((result, place) => this.download(result, place === 0)));
    put(this.made, 'made_with', {seed: job.seed, engine: [job.engine]});
    this.clip.src = results[0].url;
    putAttribute(this.clip, 'alt', 'clip_alt', {name});
    this.clip.hidden = false;
    await this.clip.decode();
  }

  download({format, name, bytes, url}, isFirst) {
    const item = this.template.content.cloneNode(true);
    const link = item.querySelector('a');
    link.href = url;
    link.download = name;
    link.classList.toggle('primary', isFirst);
    put(item.querySelector('.name'), 'download', {format: format.toUpperCase()});
    item.querySelector('.size').textContent = size(bytes);
    put(item.querySelector('.help'), `${format}_help`);
    return item;
  }

  forget() {
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.urls = [];
    this.list.replaceChildren();
    this.clip.hidden = true;
    this.clip.removeAttribute('src');
  }
}

export function megabytes(bytes) {
  return (bytes / 1e6).toPrecision(3).replace(/\.?0+$/, '');
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
