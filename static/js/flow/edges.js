// The guided filter in colour (He, Sun and Tang): what is drawn becomes a linear function of the photo's own colours
// around each cell, and so ends where they do.

import {boxSum, cut, divide, multiply} from './grid.js';

const RADIUS = 4;
// the variance of colours below which nothing is an edge
const EPSILON = 0.001;
// pairs of channels, each once
const PAIRS = [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]];

export class Edges {
  // `grid` has width, height and guide, the colours as three planes.
  constructor(grid) {
    const {guide, height, width} = this.grid = grid;
    this.counts = boxSum(new Float64Array(width * height).fill(1), width, height, RADIUS);
    const mean = (plane) => divide(boxSum(plane, width, height, RADIUS), this.counts);
    this.means = guide.map(mean);
    this.inverses = PAIRS.map(([one, other]) => {
      const own = one === other ? EPSILON : 0;
      const product = multiply(this.means[one], this.means[other]);
      return mean(multiply(guide[one], guide[other])).map((value, cell) => value - product[cell] + own);
    });
    invert(this.inverses);
  }

  // The factors of red, green and blue, and the constant: four planes. Beyond the patch nothing is covered.
  fit(cover, patch) {
    const of = (plane) => cut(plane, patch, this.grid);
    const counts = of(this.counts);
    const average = (plane) => divide(boxSum(plane, patch.width, patch.height, RADIUS), counts);
    const mean = average(cover);
    const [red, green, blue] = this.means.map(of);
    const [rr, rg, rb, gg, gb, bb] = this.inverses.map(of);
    const shared = this.grid.guide.map((plane) => average(multiply(of(plane), cover)));
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
    return [a, b, c, constant].map(average);
  }
}

// Of each cell a symmetric matrix, given as six planes, becomes its inverse.
function invert(planes) {
  for (let cell = 0; cell < planes[0].length; cell += 1) {
    const [a, b, c, d, e, f] = planes.map((plane) => plane[cell]);
    const minors = [d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b];
    const determinant = a * minors[0] + b * minors[1] + c * minors[2];
    for (let place = 0; place < 6; place += 1) planes[place][cell] = minors[place] / determinant;
  }
}
