// Which colours flow: those of a stroke's middle rather than those around, so that a stroke that reaches over a pole, a
// bank or a tree leaves it alone.

import {boxSum, divide, step} from './grid.js';

// bins of a channel, what every bin is given in advance, and the ratios between which a colour becomes one that flows
const BINS = 8;
const PRIOR = 1 / 512;
const [UNLIKE, LIKE] = [0.2, 0.4];

export class Likeness {
  // `grid` has width, height and guide, the colours as three planes.
  constructor({guide, height, width}) {
    const counts = boxSum(new Float64Array(width * height).fill(1), width, height, 1);
    const means = guide.map((plane) => divide(boxSum(plane, width, height, 1), counts));
    // the eight bins nearest to each cell's colour, and how much it belongs to each
    this.bins = new Uint16Array(8 * counts.length);
    this.parts = new Float64Array(8 * counts.length);
    for (let cell = 0; cell < counts.length; cell += 1) this.sort(cell, means);
    this.all = new Float64Array(BINS ** 3);
    for (let cell = 0; cell < counts.length; cell += 1) this.add(this.all, cell, 1);
  }

  sort(cell, means) {
    const places = means.map((plane) => Math.max(0, plane[cell]) * (BINS - 1));
    const lower = places.map((place) => Math.min(BINS - 2, Math.floor(place)));
    for (let corner = 0; corner < 8; corner += 1) {
      let [bin, part] = [0, 1];
      for (let channel = 0; channel < 3; channel += 1) {
        const upper = corner >> channel & 1;
        const rest = places[channel] - lower[channel];
        bin = bin * BINS + lower[channel] + upper;
        part *= upper ? rest : 1 - rest;
      }
      this.bins[8 * cell + corner] = bin;
      this.parts[8 * cell + corner] = part;
    }
  }

  add(counts, cell, times) {
    for (let place = 8 * cell; place < 8 * cell + 8; place += 1) counts[this.bins[place]] += this.parts[place] * times;
  }

  // How often each bin is found among some cells, of each 1.
  count(cells) {
    const counts = new Float64Array(BINS ** 3);
    for (const cell of cells) this.add(counts, cell, 1);
    return counts.map((value) => value / Math.max(1, cells.length));
  }

  // The same of all cells but some.
  countOthers(cells) {
    const left = this.bins.length / 8 - cells.length;
    if (!left) return new Float64Array(BINS ** 3);
    const counts = this.all.slice();
    for (const cell of cells) this.add(counts, cell, -1);
    return counts.map((value) => Math.max(0, value) / left);
  }

  // Whether a cell's colour flows, 0–1, by how often it is found in the middle of the stroke and in what stays.
  find(cell, middle, around) {
    let [own, other] = [PRIOR, PRIOR];
    for (let place = 8 * cell; place < 8 * cell + 8; place += 1) {
      own += this.parts[place] * middle[this.bins[place]];
      other += this.parts[place] * around[this.bins[place]];
    }
    return step((own / (own + other) - UNLIKE) / (LIKE - UNLIKE));
  }
}
