// The photo as it moves: what flows is computed whenever something else is drawn, frames as fast as they can be shown.

import {Field} from './field.js';
import {Shader} from './shader.js';

// longer side of the frames, and how much finer the photo is that they are made of
const MOST_PIXELS = 1024;
const FINER = 2;
// milliseconds of a loop, and of a frame that is too slow to be seen as motion
const LOOP = 3000;
const SLOW = 45;
// frames that are waited for before that is decided
const PATIENCE = 12;
const LEAST_PIXELS = 256;

export class Player {
  constructor(canvas) {
    Object.assign(this, {canvas, isPlaying: false, marks: []});
    canvas.addEventListener('webglcontextlost', () => this.give());
  }

  // Whether anything can move here at all; without WebGL 2, lines alone are seen.
  get canPlay() {
    return Boolean(this.shader);
  }

  // Nothing more can be shown.
  give() {
    this.shader = null;
    this.isPlaying = false;
    this.canvas.hidden = true;
  }

  // `picture` is an image that has been decoded.
  open(picture) {
    try {
      this.shader ??= new Shader(this.canvas);
    } catch {
      this.give();
      return;
    }
    const scale = Math.min(1, MOST_PIXELS / Math.max(picture.naturalWidth, picture.naturalHeight));
    const still = this.paint(picture, scale);
    const pixels = still.getContext('2d').getImageData(0, 0, still.width, still.height);
    this.field = new Field(pixels);
    const {colours: guide, height, width} = this.field;
    this.shader.load({still, photo: this.paint(picture, scale * FINER), guide, width, height});
    Object.assign(this, {marks: [], found: null, since: performance.now(), times: []});
  }

  paint(picture, scale) {
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(picture.naturalWidth * scale));
    canvas.height = Math.max(1, Math.round(picture.naturalHeight * scale));
    const context = canvas.getContext('2d', {willReadFrequently: true});
    context.imageSmoothingQuality = 'high';
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  show(marks) {
    if (!this.shader || marks.length === this.marks.length && marks.every((mark, index) => mark === this.marks[index])) return;
    this.marks = marks;
    this.found = null;
    this.wake();
  }

  play(isPlaying) {
    this.isPlaying = isPlaying && this.canPlay;
    this.wake();
  }

  close() {
    this.isPlaying = false;
    cancelAnimationFrame(this.next);
    this.next = 0;
    this.canvas.hidden = true;
  }

  wake() {
    this.next ||= requestAnimationFrame((now) => this.step(now));
  }

  step(now) {
    this.next = 0;
    this.canvas.hidden = !this.isPlaying;
    if (!this.isPlaying) return;
    if (!this.found) {
      this.found = this.field.find(this.marks);
      if (this.found.flows) this.shader.show(this.found);
      this.times = [];
    }
    this.canvas.hidden = !this.found.flows;
    if (!this.found.flows) return;
    this.shader.render((now - this.since) % LOOP / LOOP);
    this.pace(now);
    this.wake();
  }

  // Fewer pixels where frames come too slowly.
  pace(now) {
    this.times.push(now);
    if (this.times.length <= PATIENCE) return;
    const {canvas} = this;
    const isSlow = (now - this.times[0]) / PATIENCE > SLOW;
    if (isSlow && Math.max(canvas.width, canvas.height) >= 2 * LEAST_PIXELS) {
      this.shader.resize(Math.ceil(canvas.width / 2), Math.ceil(canvas.height / 2));
    }
    this.times = [];
  }
}
