// What is handed in → clips, the first of which can be shown.

import {close} from './photo.js';
import {Clip} from './clip.js';
import {limitOf, megabytes} from './sizes.js';

export class Intake {
  // `show` says a sentence of ours in its place, `explain` what is wrong with a clip.
  constructor(limit, {show, explain}) {
    Object.assign(this, {limit: limit || Infinity, show, explain});
  }

  get isOpen() {
    return Boolean(this.opening);
  }

  stop() {
    this.opening?.abort();
    this.opening = null;
  }

  // The clips to lay out; none where nothing can be used, or something else was handed in meanwhile.
  async take(files) {
    this.stop();
    const small = files.filter(({size}) => size <= this.limit);
    const large = files.find((file) => !small.includes(file));
    const limit = limitOf(this.limit);
    if (!small.length) {
      this.show('wrong', 'too_large', {size: megabytes(large.size), limit});
      return [];
    }
    const opening = this.opening = new AbortController();
    this.show('info', 'opening');
    const clips = await this.openFirst(small.map((file) => new Clip({file})), opening.signal);
    if (opening.signal.aborted) {
      close(clips[0]?.photo);
      return [];
    }
    this.opening = null;
    if (large) this.show('wrong', 'some_too_large', {name: large.name, limit});
    else if (clips.length > 1) this.show('info', 'several', {count: clips.length});
    return clips;
  }

  // From the first on that can be shown; what stands before it is refused, and that is said.
  async openFirst(clips, signal) {
    for (const [place, clip] of clips.entries()) {
      try {
        await clip.open(signal);
        if (!place) this.show('info');
        return clips.slice(place);
      } catch (error) {
        if (signal.aborted) return [];
        await this.explain(error, clip);
      }
    }
    return [];
  }
}
