// What is said and done about several clips at once: how many are done, and all of them in one ZIP.

import * as api from './api.js';
import {put, putPlain} from './words.js';

// the server takes no more at once
const MOST = 50;

export class Gathering {
  // `onFailure` is told that not all clips are there any more.
  constructor({tally, button}, clips, onFailure) {
    Object.assign(this, {tally, button, clips, onFailure});
    button.addEventListener('click', () => this.save());
    for (const name of ['change', 'gone']) clips.addEventListener(name, () => this.show());
  }

  show() {
    const {clips} = this;
    const {tally} = clips;
    if (tally) put(this.tally, 'tally', tally);
    else putPlain(this.tally);
    const count = Math.min(MOST, clips.finished.length);
    this.button.hidden = count < 2 || Boolean(tally && tally.done < tally.total);
    put(this.button, 'save_all', {count});
  }

  async save() {
    const finished = this.clips.finished.slice(0, MOST);
    try {
      location.assign(await api.archive(finished.map(({id}) => id)));
    } catch {
      // those that have gone leave by themselves
      await Promise.all(finished.map((clip) => clip.refresh().catch(() => {})));
      this.onFailure();
    }
  }
}
