// What is handed in → clips, the first of which can be shown.

import {close, looksLikePhoto, open} from './photo.js';
import {Clip} from './clip.js';
import {limitOf, megabytes} from './sizes.js';

const FEW = 3;

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
    const refused = small.length > 1 ? await this.findRefused(small, opening.signal) : [];
    const usable = small.filter((file) => !refused.includes(file));
    const clips = await this.openFirst(usable.map((file) => new Clip({file})), opening.signal);
    if (opening.signal.aborted) {
      close(clips[0]?.photo);
      return [];
    }
    this.opening = null;
    if (refused.length) this.show('wrong', clips.length ? 'some_refused' : 'all_refused', {names: list(refused)});
    else if (large) this.show('wrong', 'some_too_large', {name: large.name, limit});
    else if (clips.length > 1) this.show('info', 'several', {count: clips.length});
    return clips;
  }

  // Those that are no photos; only what does not look like one is tried, the server having the last word.
  async findRefused(files, signal) {
    const refused = [];
    for (const file of files) {
      if (await looksLikePhoto(file)) continue;
      try {
        close(await open(file, signal));
      } catch (error) {
        // what could not be asked may be a photo
        if (error.status === 415) refused.push(file);
      }
    }
    return refused;
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

// A few names, and how many more there are.
function list(files) {
  const names = files.slice(0, FEW).map(({name}) => name).join(', ');
  return files.length > FEW ? `${names} +${files.length - FEW}` : names;
}
