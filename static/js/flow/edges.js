// The guided filter in colour (He, Sun and Tang): what is drawn becomes a linear function of the photo's own colours
// around each cell, and so ends where they do.

import {boxSum} from './grid.js';

const RADIUS = 4;
// the variance of colours below which nothing is an edge
const EPSILON = 0.001;
// pairs of channels, each once
const PAIRS = [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]];

export class Edges {
  // `guide` are the colours on the grid, three planes.
  constructor(guide, width, height) {
    Object.assign(this, {guide, width, height});
    this.counts = boxSum(new Float64Array(width * height).fill(1), width, height, RADIUS);
    this.means = guide.map((plane) => this.mean(plane));
    this.inverses = this.invertVariances();
  }

  mean(plane) {
    const sums = boxSum(plane, this.width, this.height, RADIUS);
    for (let cell = 0; cell < sums.length; cell += 1) sums[cell] /= this.counts[cell];
    return sums;
  }

  product(plane, other) {
    return plane.map((value, cell) => value * other[cell]);
  }

  // Of each cell the inverse of a symmetric matrix, as six planes.
  invertVariances() {
    const {guide, means} = this;
    const planes = PAIRS.map(([one, other]) => {
      const own = one === other ? EPSILON : 0;
      const mean = this.mean(this.product(guide[one], guide[other]));
      return mean.map((value, cell) => value - means[one][cell] * means[other][cell] + own);
    });
    for (let cell = 0; cell < this.counts.length; cell += 1) {
      const [a, b, c, d, e, f] = planes.map((plane) => plane[cell]);
      const minors = [d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b];
      const determinant = a * minors[0] + b * minors[1] + c * minors[2];
      minors.forEach((minor, place) => { planes[place][cell] = minor / determinant; });
    }
    return planes;
  }

  // The factors of red, green and blue, and the constant: four planes.
  fit(cover) {
    const {guide, inverses: [rr, rg, rb, gg, gb, bb], means: [red, green, blue]} = this;
    const mean = this.mean(cover);
    const shared = guide.map((plane) => this.mean(this.product(plane, cover)));
    const [a, b, c, constant] = Array.from({length: 4}, () => new Float64Array(cover.length));
    for (let cell = 0; cell < cover.length; cell += 1) {
      const r = shared[0][cell] - red[cell] * mean[cell];
      const g = shared[1][cell] - green[cell] * mean[cell];
      const bl = shared[2][cell] - blue[cell] * mean[cell];
      a[cell] = rr[cell] * r + rg[cell] * g + rb[cell] * bl;
      b[cell] = rg[cell] * r + gg[cell] * g + gb[cell] * bl;
      c[cell] = rb[cell] * r + gb[cell] * g + bb[cell] * bl;
      constant[cell] = mean[cell] - a[cell] * red[cell] - b[cell] * green[cell] - c[cell] * blue[cell];
    }
    return [a, b, c, constant].map((plane) => this.mean(plane));
  }
}
