// The board: the photo as large as the window allows, what is drawn on it, and the tools.

import {prefersStillness} from '../moving.js';
import {put, putAttribute} from '../words.js';
import {Drawing} from './drawing.js';
import {drawLines} from './lines.js';
import {List, nameOf} from './list.js';
import {length, lineOf, sides} from './marks.js';
import {paint, Player} from './player.js';
import {drawSky, findSky} from './sky.js';
import {Surface} from './surface.js';

// a line that is shorter flows nowhere: it is a tap
const LEAST_LENGTH = 0.012;
// between two points of a line
const LEAST_STEP = 0.0005;
// of a mark that is set by keys, in parts of the photo's width
const SHORT = 0.2;
// longer side of the picture in which the sky is looked for
const MOST_PIXELS = 512;

export class Board {
  // `onChange` is given the form's field whenever something else is drawn.
  constructor(dialog, template, onChange) {
    Object.assign(this, {dialog, template, onChange, drawing: new Drawing('', 1), line: null});
    this.find = (name) => dialog.querySelector(`#flow-${name}`);
    this.photo = dialog.querySelector('.sheet img');
    this.lines = dialog.querySelector('.sheet svg');
    this.ring = dialog.querySelector('.ring');
    this.player = new Player(dialog.querySelector('.sheet canvas'), () => this.show());
    this.surface = new Surface(this.find('view'), dialog.querySelector('.sheet'), this);
    this.sliders = {width: this.find('width'), speed: this.find('speed')};
    this.listen();
    new ResizeObserver(() => dialog.open && this.surface.show()).observe(this.find('view'));
  }

  listen() {
    const on = (name, act) => this.find(name).addEventListener('click', act);
    on('done', () => this.dialog.close());
    on('undo', () => this.undo());
    on('clear', () => this.clear());
    on('nearer', () => this.surface.step(true));
    on('farther', () => this.surface.step(false));
    on('play', () => this.play(!this.player.isPlaying));
    on('add', () => this.addByKeys());
    on('sky', () => this.addSky());
    on('all', ({target}) => {
      const button = target.closest('[data-degrees]');
      if (button) this.flood(Number(button.dataset.degrees), button);
    });
    this.find('brush').addEventListener('change', () => {
      // the next line has this brush, not the one that is chosen
      if (this.drawing.chosen) this.choose(null);
      this.show();
    });
    for (const [name, slider] of Object.entries(this.sliders)) {
      slider.addEventListener('input', () => {
        if (this.drawing.chosen) this.drawing.edit({[name]: this[name]}, name);
        else this.show();
      });
    }
    this.dialog.addEventListener('close', () => {
      this.surface.release();
      this.player.close();
    });
    this.dialog.addEventListener('keydown', (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === 'z') this.undo();
    });
  }

  // ---- what the tools say ----

  get kind() {
    return this.dialog.querySelector('[name="flow-brush"]:checked').value;
  }

  get width() {
    return Number(this.sliders.width.value) / 100;
  }

  get speed() {
    return Number(this.sliders.speed.value);
  }

  // ---- the photo ----

  // `picture` is the photo as it is shown, `field` what is drawn on it.
  open(picture, field) {
    const ratio = picture.naturalWidth / picture.naturalHeight;
    this.picture = picture;
    this.photo.src = picture.src;
    this.photo.alt = picture.alt;
    this.dialog.style.setProperty('--photo', ratio);
    this.drawing = new Drawing(field, ratio);
    this.drawing.addEventListener('change', () => this.follow());
    this.find('marks').replaceChildren();
    this.list = new List(this.find('marks'), this.template, this.drawing, (...words) => this.tell(...words));
    this.find('still').hidden = true;
    this.find('found').hidden = true;
    this.dialog.showModal();
    this.surface.fit();
    this.player.open(picture).then(() => {
      this.play(!prefersStillness());
      this.find('still').hidden = this.player.canPlay;
      this.show();
    });
    this.show();
  }

  tell(key, values = {}) {
    put(this.find('status'), key, values);
  }

  play(isPlaying) {
    this.player.play(isPlaying);
    const button = this.find('play');
    button.dataset.play = isPlaying ? 'playing' : 'paused';
    putAttribute(button, 'aria-label', isPlaying ? 'flow_pause' : 'flow_play');
  }

  // ---- drawing; points come from the surface ----

  begin(point) {
    this.line = [point];
    this.show();
  }

  draw(points) {
    for (const point of points) {
      const [[x, y], [lastX, lastY]] = lineOf({points: [point, this.line.at(-1)]}, this.drawing.ratio);
      if (Math.hypot(x - lastX, y - lastY) >= LEAST_STEP) this.line.push(point);
    }
    this.show();
  }

  cancel() {
    this.line = null;
    this.show();
  }

  end() {
    const mark = this.mark;
    this.line = null;
    const isTap = length(mark, this.drawing.ratio) < LEAST_LENGTH;
    if (isTap && mark.kind === 'flows') this.choose(this.drawing.find(mark.points[0]));
    else this.add(isTap ? {...mark, points: mark.points.slice(0, 1)} : mark);
  }

  // What the finger is drawing just now.
  get mark() {
    const {kind, line: points, speed, width} = this;
    return kind === 'flows' ? {kind, points, width, speed} : {kind, points, width};
  }

  add(mark) {
    const added = this.drawing.add(mark);
    if (added) this.tell('flow_added', {name: nameOf(added, this.drawing)});
    else this.refuse();
    return added;
  }

  refuse() {
    this.tell('flow_full');
    this.show();
  }

  choose(mark) {
    this.drawing.choose(mark);
    if (mark) this.tell('flow_chosen', {name: nameOf(mark, this.drawing)});
  }

  addByKeys() {
    this.line = this.kind === 'flows' ? [[0.5 - SHORT / 2, 0.5], [0.5 + SHORT / 2, 0.5]] : [[0.5, 0.5]];
    const {mark} = this;
    this.line = null;
    const added = this.add(mark);
    if (!added) return;
    this.drawing.choose(added);
    this.list.rows.at(-1).querySelector('.pick').focus();
  }

  addSky() {
    const {naturalWidth, naturalHeight} = this.picture;
    const small = paint(this.picture, Math.min(1, MOST_PIXELS / Math.max(naturalWidth, naturalHeight)));
    const sky = findSky(small.getContext('2d').getImageData(0, 0, small.width, small.height));
    const strokes = sky ? drawSky(sky) : [];
    const count = this.drawing.addAll(strokes)?.length;
    const words = !strokes.length ? 'flow_no_sky' : count ? 'flow_sky' : count === 0 ? 'flow_sky_there' : 'flow_full';
    this.tell(words, {count});
    const found = this.find('found');
    put(found, words, {count});
    found.hidden = false;
    found.scrollIntoView({block: 'nearest'});
  }

  flood(degrees, button) {
    if (this.drawing.flood(degrees, this.speed)) this.tell('flow_flooded', {direction: [button.dataset.wordsAriaLabel]});
    else this.refuse();
  }

  undo() {
    if (!this.drawing.earlier.length) return;
    this.drawing.undo();
    this.tell('flow_undone', {count: this.drawing.marks.length});
  }

  clear() {
    if (!this.drawing.marks.length) return;
    this.drawing.clear();
    this.tell('flow_cleared');
  }

  // ---- what is seen ----

  follow() {
    const {chosen} = this.drawing;
    if (chosen) {
      this.dialog.querySelector(`[name="flow-brush"][value="${chosen.kind}"]`).checked = true;
      this.sliders.width.value = chosen.width * 100;
      if (chosen.kind === 'flows') this.sliders.speed.value = chosen.speed;
    }
    this.onChange(this.drawing.field);
    this.find('found').hidden = true;
    this.show();
  }

  // Once before the next picture, however often something changes until then.
  show() {
    this.showing ??= requestAnimationFrame(() => {
      this.showing = null;
      if (this.dialog.open) this.render();
    });
  }

  render() {
    const {drawing, kind, line, player} = this;
    const marks = line ? [...drawing.marks, this.mark] : drawing.marks;
    this.showLines(marks);
    player.show(marks);
    this.find('play').hidden = !player.canPlay;
    this.dialog.dataset.brush = kind;
    this.dialog.toggleAttribute('data-drawn', marks.length > 0);
    this.find('undo').setAttribute('aria-disabled', String(!drawing.earlier.length));
    this.find('clear').setAttribute('aria-disabled', String(!drawing.marks.length));
    this.find('none').hidden = drawing.marks.length > 0;
    for (const slider of Object.values(this.sliders)) {
      const {value, min, max} = slider;
      slider.style.setProperty('--filled', `${100 * (value - min) / (max - min)}%`);
    }
    put(this.find('width-now'), 'flow_percent', {percent: this.sliders.width.value});
    put(this.find('speed-now'), 'flow_times', {times: this.sliders.speed.value});
  }

  showLines(marks) {
    const {ratio, chosen} = this.drawing;
    const long = Math.max(...sides(ratio)) * 1000;
    const shown = Math.max(this.photo.offsetWidth, this.photo.offsetHeight) * this.surface.scale;
    drawLines(this.lines, marks, {ratio, pixel: long / Math.max(1, shown), chosen});
  }

  // The surface has come nearer, or moved.
  zoom(scale) {
    this.find('farther').setAttribute('aria-disabled', String(scale <= 1));
    this.dialog.style.setProperty('--scale', scale);
    this.show();
  }

  // How wide the brush is, under the pointer.
  hover([x, y], {pointerType}) {
    const {ring, width} = this;
    ring.hidden = pointerType === 'touch';
    const [across, down] = sides(this.drawing.ratio);
    ring.style.left = `${100 * x}%`;
    ring.style.top = `${100 * y}%`;
    ring.style.width = `${100 * width / across}%`;
    ring.style.height = `${100 * width / down}%`;
  }
}
