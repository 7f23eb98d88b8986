// What is handed in → pieces, the first of which can be shown.

import {close} from './photo.js';
import {Piece} from './piece.js';
import {megabytes} from './sizes.js';

export class Intake {
  // `tell` says a sentence of ours in its place, `tellWhy` what is wrong with a piece.
  constructor(limit, {tell, tellWhy}) {
    Object.assign(this, {limit: limit || Infinity, tell, tellWhy});
  }

  get isOpen() {
    return Boolean(this.opening);
  }

  stop() {
    this.opening?.abort();
    this.opening = null;
  }

  // The pieces to lay out; none where nothing can be used, or something else was handed in meanwhile.
  async take(files) {
    this.stop();
    const small = files.filter(({size}) => size <= this.limit);
    const large = files.find((file) => !small.includes(file));
    const limit = megabytes(this.limit);
    if (!small.length) {
      this.tell('wrong', 'too_large', {size: megabytes(large.size), limit});
      return [];
    }
    const opening = this.opening = new AbortController();
    this.tell('info', 'opening');
    const pieces = await this.openFirst(small.map((file) => new Piece({file})), opening.signal);
    if (opening.signal.aborted) {
      close(pieces[0]?.photo);
      return [];
    }
    this.opening = null;
    if (large) this.tell('wrong', 'some_too_large', {name: large.name, limit});
    else if (pieces.length > 1) this.tell('info', 'several', {count: pieces.length});
    return pieces;
  }

  // From the first on that can be shown; what stands before it is refused, and that is said.
  async openFirst(pieces, signal) {
    for (const [place, piece] of pieces.entries()) {
      try {
        await piece.open(signal);
        if (!place) this.tell('info');
        return pieces.slice(place);
      } catch (error) {
        if (signal.aborted) return [];
        await this.tellWhy(error, piece);
      }
    }
    return [];
  }
}
