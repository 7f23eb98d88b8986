// The chip that names the engine at work, and the card behind it, where a better one may arrive. What stands in
// the card is the server's to say: when something changed, the page is fetched again and its card taken over.

import * as api from './api.js';
import {showArrival} from './arrival.js';
import {put, putPlain, putRefusal} from './words.js';

// milliseconds between two looks: while something comes, and at least and at most while nothing does
const OFTEN = 2000;
const RARE = 10000;
const RAREST = 60000;

export class Engine {
  // `onChange` is given the new page.
  constructor(chip, status, onChange) {
    Object.assign(this, {chip, status, onChange});
    this.card = chip.querySelector('.card');
    this.renewals = 0;
    this.pause = RARE / 2;
    this.read();
    chip.dataset.live = '';
    this.closeOnLeaving();
    chip.addEventListener('click', (event) => {
      const button = event.target.closest('.fetch button');
      if (button) this.press(button);
    });
    chip.addEventListener('toggle', () => {
      if (chip.open) this.refresh();
    });
    document.addEventListener('visibilitychange', () => this.refresh());
    this.wait();
  }

  closeOnLeaving() {
    document.addEventListener('pointerdown', (event) => {
      if (!this.chip.contains(event.target)) this.chip.open = false;
    });
    this.chip.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.chip.open) return;
      this.chip.open = false;
      this.chip.querySelector('summary').focus();
    });
  }

  read() {
    this.now = JSON.parse(this.chip.dataset.now);
    this.better = JSON.parse(this.chip.dataset.better);
    this.show();
  }

  show() {
    for (const place of this.card.querySelectorAll('.arrival')) {
      const {what} = place.dataset;
      showArrival(place, what === 'libraries' ? this.now.libraries : this.now.models[what].download);
    }
  }

  get isComing() {
    return [this.now.libraries, ...downloads(this.now)].some(({state}) => state === 'running');
  }

  // Often while something comes, more and more rarely while nothing does, not at all once it is here.
  wait() {
    clearTimeout(this.timer);
    if (document.hidden || !this.better.length) return;
    this.pause = this.isComing ? OFTEN : Math.min(Math.max(2 * this.pause, RARE), RAREST);
    this.timer = setTimeout(() => this.refresh(), this.pause);
  }

  async refresh() {
    clearTimeout(this.timer);
    if (document.hidden || !this.better.length) return;
    const now = await api.health();
    if (now?.engines && shape(now) !== shape(this.now)) await this.renew();
    else if (now?.engines) {
      this.now = now;
      this.show();
    }
    this.wait();
  }

  async press(button) {
    const {does, model} = button.dataset;
    const place = button.closest('.fetch').querySelector('.fault');
    putPlain(place);
    try {
      await (does === 'stop' ? api.stopModel(model) : api.fetchModel(model));
    } catch (error) {
      if (error instanceof api.Refusal && error.message) putRefusal(place, error);
      else put(place, 'unreachable');
      return;
    }
    await this.renew();
    this.wait();
  }

  // Takes over what the server says now; the card stays open, the focus where it was.
  async renew() {
    this.renewals += 1;
    const renewal = this.renewals;
    const page = await api.page().catch(() => null);
    // another renewal, or a switch of the language, has come in between
    if (renewal !== this.renewals || page?.documentElement.lang !== document.documentElement.lang) return;
    const {better} = this;
    const hadDepth = this.now.depth?.model;
    this.takeOver(page.getElementById('engine'));
    this.onChange(page);
    const {engine} = this.now;
    if (better.includes(engine)) put(this.status, 'engine_arrived', {engine: [engine]});
    else if (!hadDepth && this.now.depth?.model) put(this.status, 'depth_arrived');
  }

  takeOver(chip) {
    const focused = this.card.contains(document.activeElement) ? document.activeElement.id : '';
    for (const name of ['engine', 'better', 'generative', 'now']) this.chip.dataset[name] = chip.dataset[name];
    const isOpen = this.card.querySelector('#owner[open]') !== null;
    const faults = this.card.querySelectorAll('.fetch .fault');
    for (const part of ['summary', '.card']) {
      this.chip.querySelector(part).replaceChildren(...chip.querySelector(part).childNodes);
    }
    this.card.querySelector('#owner')?.toggleAttribute('open', isOpen || this.card.querySelector('#owner[open]') !== null);
    // what has failed here the server does not know
    for (const fault of faults) document.getElementById(fault.id)?.replaceWith(fault);
    this.read();
    if (focused) (document.getElementById(focused) ?? this.card).focus({preventScroll: true});
  }
}

function downloads({models}) {
  return Object.keys(models).sort().map((name) => models[name].download);
}

// All but the numbers.
function shape(now) {
  const {engine, engines, warnings, depth, libraries} = now;
  return JSON.stringify([engine, Object.entries(engines).sort(), warnings, depth?.model, depth?.reason,
    ...[libraries, ...downloads(now)].map(({state, error}) => [state, error])]);
}
