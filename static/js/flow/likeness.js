// Which colours flow: those of a stroke's middle rather than those around, so that a stroke that reaches over a pole, a
// bank or a tree leaves it alone.

import {boxSum, step} from './grid.js';

// bins of a channel, what every bin is given in advance, and the ratios between which a colour becomes one that flows
const BINS = 8;
const PRIOR = 1 / 512;
const [UNLIKE, LIKE] = [0.2, 0.4];

export class Likeness {
  // `guide` are the colours on the grid, three planes.
  constructor(guide, width, height) {
    const counts = boxSum(new Float64Array(width * height).fill(1), width, height, 1);
    const means = guide.map((plane) => boxSum(plane, width, height, 1).map((sum, cell) => sum / counts[cell]));
    // the eight bins nearest to each cell's colour, and how much it belongs to each
    this.bins = new Uint16Array(8 * counts.length);
    this.parts = new Float64Array(8 * counts.length);
    for (let cell = 0; cell < counts.length; cell += 1) {
      const places = means.map((plane) => Math.max(0, plane[cell]) * (BINS - 1));
      const lower = places.map((place) => Math.min(BINS - 2, Math.floor(place)));
      for (let corner = 0; corner < 8; corner += 1) {
        let [bin, part] = [0, 1];
        for (let channel = 0; channel < 3; channel += 1) {
          const isUpper = corner >> channel & 1;
          const rest = places[channel] - lower[channel];
          bin = bin * BINS + lower[channel] + isUpper;
          part *= isUpper ? rest : 1 - rest;
        }
        this.bins[8 * cell + corner] = bin;
        this.parts[8 * cell + corner] = part;
      }
    }
  }

  // How often each bin is found among some cells.
  count(cells) {
    const found = new Float64Array(BINS ** 3);
    for (const cell of cells) {
      for (let place = 8 * cell; place < 8 * cell + 8; place += 1) found[this.bins[place]] += this.parts[place];
    }
    const sum = Math.max(1e-9, found.reduce((one, other) => one + other, 0));
    return found.map((value) => value / sum);
  }

  // For each bin together with its neighbours, at a cell: whether it flows, 0–1.
  find(cell, flows, stays) {
    let [own, other] = [PRIOR, PRIOR];
    for (let place = 8 * cell; place < 8 * cell + 8; place += 1) {
      own += this.parts[place] * flows[this.bins[place]];
      other += this.parts[place] * stays[this.bins[place]];
    }
    return step((own / (own + other) - UNLIKE) / (LIKE - UNLIKE));
  }
}
