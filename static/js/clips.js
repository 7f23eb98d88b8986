// This browser's clips, newest first: sent one after the other, remembered, and found again.

import * as memory from './memory.js';
import {Clip} from './clip.js';
import {KeptPhotos} from './kept.js';

const PATIENCE = 5000;

// Events: change (detail: the clip), gone (detail: the clip).
export class Clips extends EventTarget {
  constructor() {
    super();
    this.all = [];
    this.sending = Promise.resolve();
    // those that were sent together
    this.batch = [];
    this.kept = new KeptPhotos();
    this.keepUploads = (event) => event.preventDefault();
  }

  get ready() {
    return this.all.filter((clip) => clip.state === 'ready');
  }

  add(clip, place = 0) {
    this.all.splice(place, 0, clip);
    if (clip.file) clip.places = {...this.kept.takePlaces(clip.file), ...clip.places};
    clip.addEventListener('change', () => this.note(clip));
    clip.addEventListener('gone', () => this.drop(clip));
    this.keepUnsent();
    this.dispatch('change', clip);
  }

  note(clip) {
    // one that has left may still be answered
    if (!this.all.includes(clip)) return;
    if (clip.id && !clip.isKept) {
      const {id, name, created, ratio} = clip;
      memory.remember({id, name, created, ratio});
      clip.isKept = true;
    }
    this.guard();
    this.keepUnsent();
    this.dispatch('change', clip);
  }

  drop(clip) {
    if (clip.id) memory.forget(clip.id);
    this.all = this.all.filter((one) => one !== clip);
    this.batch = this.batch.filter((one) => one !== clip);
    this.guard();
    this.keepUnsent();
    this.dispatch('gone', clip);
  }

  // What is set on a photo is its own.
  place(clip, places) {
    Object.assign(clip.places, places);
    this.keepUnsent();
  }

  keepUnsent() {
    this.kept.keep(this.all.filter(({id, file}) => !id && file));
  }

  dispatch(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, {detail}));
  }

  // One after the other: the first of them is at work while the others are still on their way.
  send(clips, values) {
    this.batch = [...this.batch.some(({isBusy}) => isBusy) ? this.batch : [], ...clips];
    clips.forEach((clip) => clip.queue());
    for (const clip of clips) {
      this.sending = this.sending.then(() => clip.leaving && clip.send(values));
    }
  }

  // How many of those sent together have ended; nothing while there is no more than one.
  get tally() {
    const total = this.batch.length;
    return total > 1 ? {done: this.batch.filter(({isBusy}) => !isBusy).length, total} : null;
  }

  // What can be saved at once: all that were sent together, else all there are.
  get finished() {
    const together = this.batch.filter(({state}) => state === 'done');
    return together.length > 1 ? together : this.all.filter(({state}) => state === 'done');
  }

  // Only what has not arrived yet is lost when the page goes.
  guard() {
    const isSending = this.all.some(({own, id}) => !id && ['sending', 'waiting'].includes(own));
    if (isSending === this.isGuarding) return;
    this.isGuarding = isSending;
    if (isSending) window.addEventListener('beforeunload', this.keepUploads);
    else window.removeEventListener('beforeunload', this.keepUploads);
  }

  // ---- after a reload ----

  // The one that was on the table comes first; resolves when it is known.
  async restore() {
    const entries = memory.recall();
    const id = memory.currentId();
    const first = entries.find((entry) => entry.id === id);
    if (first) await this.find(first, entries);
    this.findAll(entries.filter((entry) => entry !== first), entries);
    memory.watch((now) => this.synchronise(now));
  }

  // Another tab has made clips, or deleted some.
  synchronise(entries) {
    for (const clip of this.all.filter(({id}) => id && !entries.some((entry) => entry.id === id))) this.drop(clip);
    const added = entries.filter(({id}) => !this.all.some((clip) => clip.id === id));
    this.findAll(added.map((entry) => ({...entry, isElsewhere: true})), entries);
  }

  async findAll(entries, order) {
    for (const entry of entries) await this.find(entry, order);
  }

  async find(entry, order) {
    const clip = new Clip(entry);
    Object.assign(clip, {isKept: true, isElsewhere: entry.isElsewhere});
    clip.addEventListener('gone', () => memory.forget(entry.id));
    try {
      await clip.refresh();
    } catch {
      setTimeout(() => this.find(entry, order), PATIENCE);
      return;
    }
    if (!clip.job || this.all.some(({id}) => id === clip.id)) return;
    if (clip.state === 'cancelled') {
      clip.remove().catch(() => {});
      return;
    }
    const ids = order.map(({id}) => id);
    const later = ids.slice(ids.indexOf(entry.id) + 1);
    const place = this.all.findIndex(({id}) => later.includes(id));
    this.add(clip, place < 0 ? this.all.length : place);
    if (clip.isBusy) clip.follow();
  }
}
