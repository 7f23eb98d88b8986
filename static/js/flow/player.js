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
const LEAST_PIXELS = 480;

export class Player {
  // `onRestored` is called when what was drawn has to be shown again.
  constructor(canvas, onRestored = () => {}) {
    Object.assign(this, {canvas, onRestored, isPlaying: false, marks: []});
    canvas.addEventListener('webglcontextlost', (event) => {
      // only then does it come back
      event.preventDefault();
      this.shader = null;
      canvas.hidden = true;
    });
    canvas.addEventListener('webglcontextrestored', () => this.restore());
  }

  // Whether anything can move here at all; without WebGL 2, lines alone are seen.
  get canPlay() {
    return Boolean(this.field);
  }

  // Nothing more can be shown.
  give() {
    Object.assign(this, {shader: null, field: null, isPlaying: false});
    this.canvas.hidden = true;
  }

  // `picture` is an image that has been decoded. Resolves once it can move, after it has been seen still.
  async open(picture) {
    Object.assign(this, {picture, field: null, marks: []});
    await new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });
    if (picture === this.picture) this.begin();
  }

  begin() {
    try {
      this.shader ??= new Shader(this.canvas);
      this.prepare(this.picture);
    } catch {
      this.give();
    }
  }

  // The graphics card has been taken away for a while.
  restore() {
    if (!this.picture) return;
    this.begin();
    this.wake();
    this.onRestored();
  }

  prepare(picture) {
    const scale = Math.min(1, MOST_PIXELS / Math.max(picture.naturalWidth, picture.naturalHeight));
    const still = paint(picture, scale);
    const field = new Field(still.getContext('2d').getImageData(0, 0, still.width, still.height));
    const {colours: guide, height, width} = field;
    this.shader.load({still, photo: paint(picture, scale * FINER), guide, width, height});
    Object.assign(this, {field, found: null, since: performance.now(), last: 0, frames: 0, slow: 0});
  }

  show(marks) {
    if (marks.length === this.marks.length && marks.every((mark, index) => mark === this.marks[index])) return;
    this.marks = marks;
    this.found = null;
    this.wake();
  }

  play(isPlaying) {
    this.isPlaying = isPlaying;
    this.wake();
  }

  close() {
    cancelAnimationFrame(this.next);
    Object.assign(this, {isPlaying: false, next: 0, picture: null});
    this.canvas.hidden = true;
  }

  wake() {
    this.next ||= requestAnimationFrame((now) => this.step(now));
  }

  step(now) {
    this.next = 0;
    const isMoving = this.isPlaying && this.canPlay && this.shader && this.find().flows;
    this.canvas.hidden = !isMoving;
    if (!isMoving) return;
    this.shader.render((now - this.since) % LOOP / LOOP);
    this.pace(now);
    this.wake();
  }

  // What flows, computed when something else is drawn.
  find() {
    if (this.found) return this.found;
    this.found = this.field.find(this.marks);
    if (this.found.flows) this.shader.show(this.found);
    return this.found;
  }

  // Fewer pixels where most frames come too slowly.
  pace(now) {
    this.frames += 1;
    this.slow += now - this.last > SLOW;
    this.last = now;
    if (this.frames < PATIENCE) return;
    const {height, width} = this.canvas;
    const isSmall = Math.max(width, height) < 2 * LEAST_PIXELS;
    if (this.slow > PATIENCE / 2 && !isSmall) this.shader.resize(Math.ceil(width / 2), Math.ceil(height / 2));
    Object.assign(this, {frames: 0, slow: 0});
  }
}

// `picture` is an image that has been decoded; with fewer or more pixels.
export function paint(picture, scale) {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(picture.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(picture.naturalHeight * scale));
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}
