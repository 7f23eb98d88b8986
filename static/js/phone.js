// The way to the phone: a QR code and a link to the page of one clip.

import * as api from './api.js';
import {isPhone} from './device.js';
import {put, putPlain} from './words.js';

// milliseconds until it is asked again whether the clip is there
const AGAIN = 1000;

export class Phone {
  // `findClip` gives the clip that is shown.
  constructor(dialog, button, findClip) {
    Object.assign(this, {dialog, findClip});
    this.code = dialog.querySelector('img');
    this.link = dialog.querySelector('a');
    this.hint = dialog.querySelector('.hint-phone');
    this.copying = dialog.querySelector('.copy');
    // whoever is there already needs no way there
    button.hidden = isPhone();
    button.addEventListener('click', () => this.open());
    this.copying.addEventListener('click', () => this.copy());
    dialog.addEventListener('click', (event) => {
      // the backdrop is the dialog itself
      if (event.target === dialog || event.target.closest('.close')) dialog.close();
    });
  }

  async open() {
    const asking = this.asking = {id: this.findClip().id};
    this.show({url: null, qr: null, hint: ''});
    put(this.hint, 'phone_asking');
    this.dialog.showModal();
    await this.ask(asking);
  }

  // The dialog may have been closed meanwhile, and opened for another clip.
  async ask(asking) {
    const isWanted = () => this.dialog.open && this.asking === asking;
    try {
      const link = await api.link(asking.id);
      if (isWanted()) this.show(link);
    } catch (error) {
      if (!isWanted()) return;
      // of many servers, this one may hear last that it is done
      if (error.code === 'not_done') setTimeout(() => isWanted() && this.ask(asking), AGAIN);
      else if (error.message && error instanceof api.Refusal) putPlain(this.hint, error.message);
      else put(this.hint, 'unreachable');
    }
  }

  show({url, qr, hint}) {
    this.code.hidden = !qr;
    this.link.hidden = this.copying.hidden = !url;
    this.dialog.toggleAttribute('data-found', Boolean(url));
    if (qr) this.code.src = qr;
    this.link.href = url ?? '';
    this.link.textContent = url ?? '';
    this.say(hint ?? '');
    put(this.copying, 'copy_link');
  }

  // What is to be typed stands between backticks, and is not broken across lines.
  say(words) {
    putPlain(this.hint);
    this.hint.append(...words.split('`').map((part, place) => {
      if (place % 2 === 0) return part;
      const code = document.createElement('code');
      code.textContent = part;
      return code;
    }));
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.link.href);
    } catch {
      // without https a page may not write there: then it is marked, to be copied by hand
      getSelection().selectAllChildren(this.link);
      return;
    }
    put(this.copying, 'copied');
  }
}
