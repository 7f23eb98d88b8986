// This browser's clips, newest first: sent one after the other, remembered, and found again.

import * as memory from './memory.js';
import {Piece} from './piece.js';

const PATIENCE = 5000;

// Events: change (detail: the piece), gone (detail: the piece).
export class Pieces extends EventTarget {
  constructor() {
    super();
    this.all = [];
    this.sending = Promise.resolve();
    this.keepUploads = (event) => event.preventDefault();
  }

  get ready() {
    return this.all.filter((piece) => piece.state === 'ready');
  }

  add(piece, place = 0) {
    this.all.splice(place, 0, piece);
    piece.addEventListener('change', () => this.note(piece));
    piece.addEventListener('gone', () => this.drop(piece));
    this.tell('change', piece);
  }

  note(piece) {
    if (piece.id && !piece.isKept) {
      const {id, name, created, ratio} = piece;
      memory.remember({id, name, created, ratio});
      piece.isKept = true;
    }
    this.guard();
    this.tell('change', piece);
  }

  drop(piece) {
    if (piece.id) memory.forget(piece.id);
    this.all = this.all.filter((one) => one !== piece);
    this.guard();
    this.tell('gone', piece);
  }

  tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, {detail}));
  }

  // One after the other: the first of them is at work while the others are still on their way.
  send(pieces, values) {
    pieces.forEach((piece) => piece.queue());
    for (const piece of pieces) {
      this.sending = this.sending.then(() => piece.leaving && piece.send(values));
    }
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
    const clips = memory.recall();
    const id = memory.tabled();
    const first = clips.find((clip) => clip.id === id);
    if (first) await this.find(first, clips);
    this.findAll(clips.filter((clip) => clip !== first), clips);
  }

  async findAll(clips, order) {
    for (const clip of clips) await this.find(clip, order);
  }

  async find(clip, order) {
    const piece = new Piece(clip);
    piece.isKept = true;
    piece.addEventListener('gone', () => memory.forget(clip.id));
    try {
      await piece.look();
    } catch {
      setTimeout(() => this.find(clip, order), PATIENCE);
      return;
    }
    if (!piece.told) return;
    const later = order.slice(order.indexOf(clip) + 1).map(({id}) => id);
    const place = this.all.findIndex(({id}) => later.includes(id));
    this.add(piece, place < 0 ? this.all.length : place);
    if (piece.isBusy) piece.follow();
  }
}
