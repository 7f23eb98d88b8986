// The sky of a photo, where there is one with clouds and that is beyond doubt: of the regions that hang together from the
// upper border without crossing an edge, one for each of several strengths of edges, the one that looks most like a sky.

import {averageColours, boxSum, distances} from './grid.js';
import {WIDTH} from './marks.js';

// cells along the longer side, on which a sky is looked for
const CELLS = 128;
// differences of colour between neighbours from which they are an edge
const EDGES = [0.02, 0.03, 0.04, 0.05, 0.06, 0.075, 0.09, 0.11, 0.13, 0.16, 0.2];
// parts of the upper border, of the photo and of the lower border, at least and at most
const [LEAST_TOP, LEAST_SHARE, MOST_BOTTOM] = [0.04, 0.1, 0.05];
// a hole that is larger is none
const HOLE = 0.03;
// radius in cells over which clouds stand out, and by how much at least
const [AROUND, CLOUDS] = [16, 0.006];
// a blank background
const BLANK = {brightest: 0.95, saturation: 0.05};
// of strokes: radii in cells, and what of them flows less; the least length in parts of the photo's width; the least part
// of the sky that one more has to cover, and how many there are at most
const RADII = [3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32];
const [SOFT, LEAST_RUN, LEAST_GAIN, MOST_STROKES] = [2, 0.15, 0.04, 6];
// clouds are slow
const SPEED = 0.5;
// how much speaks for a sky: fitted by logistic regression to photos with and without one
const WEIGHTS = {
  share: 11.58, rim: 1.71, rest: -2.43, calm: -1.24, sides: -4.18, above: 3.77, free: 1.62, bright: 3.9, contrast: -5.16,
  large: 11.88, blue: 7.59, ragged: -124, top: 3.72, green: 9.61, magenta: 39.42,
};
const THRESHOLD = 25.25;

// `picture` has data (RGBA), width and height. Gives {cells, width, height}, where a cell is 1 in the sky; null without.
export function findSky(picture) {
  const scale = CELLS / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const grid = new Grid(averageColours(picture, width, height), width, height);
  const found = EDGES.map((edge) => grid.grow(edge)).filter((cells) => grid.isPlausible(cells));
  const scores = found.map((cells) => grid.judge(cells));
  const best = Math.max(...scores);
  return best > THRESHOLD ? {cells: found[scores.indexOf(best)], width, height} : null;
}

// Strokes from left to right that lie in it altogether, the one that covers most first.
export function drawSky({cells, width, height}) {
  const longer = Math.max(width, height);
  const depth = distances(invert(cells), width, height);
  const bare = Float64Array.from(cells);
  const least = LEAST_GAIN * bare.reduce((sum, cell) => sum + cell, 0);
  const marks = [];
  while (marks.length < MOST_STROKES) {
    const {gain, radius, y, start, end} = findWidest(bare, depth, width);
    if (gain < least) break;
    const inner = radius - SOFT;
    for (let row = Math.max(0, Math.ceil(y - inner)); row <= Math.min(height - 1, y + inner); row += 1) {
      bare.fill(0, row * width + start, row * width + end);
    }
    marks.push({
      kind: 'flows',
      points: [start, end].map((x) => [round(x / width), round((y + 0.5) / height)]),
      width: Math.min(WIDTH.most, round(2 * radius / longer)),
      speed: SPEED,
    });
  }
  return marks;
}

// The level line with the most bare cells around it, and the greatest radius that fits in.
function findWidest(bare, depth, width) {
  const height = bare.length / width;
  const sums = sumUp(bare, width);
  let best = {gain: 0};
  for (const radius of RADII) {
    const inner = Math.floor(radius - SOFT);
    for (let y = 0; y < height; y += 1) {
      const [upper, lower] = [Math.max(0, y - inner), Math.min(height, y + inner + 1)].map((row) => row * (width + 1));
      for (const [start, end] of findRuns(depth.subarray(y * width, (y + 1) * width), radius)) {
        const gain = sums[lower + end] - sums[lower + start] - sums[upper + end] + sums[upper + start];
        if (gain > best.gain && end - start >= LEAST_RUN * width) best = {gain, radius, y, start, end};
      }
    }
  }
  return best;
}

// Sums over all that is above and left of each corner of the cells.
function sumUp(plane, width) {
  const sums = new Float64Array((width + 1) * (plane.length / width + 1));
  for (let cell = 0; cell < plane.length; cell += 1) {
    const corner = cell + Math.floor(cell / width) + width + 2;
    sums[corner] = plane[cell] + sums[corner - 1] + sums[corner - width - 1] - sums[corner - width - 2];
  }
  return sums;
}

// Runs of cells of a row that are at least as deep: where each starts and ends.
function findRuns(row, least) {
  const runs = [];
  for (let x = 0, start = 0; x <= row.length; x += 1) {
    if (row[x] >= least) continue;
    if (x > start) runs.push([start, x]);
    start = x + 1;
  }
  return runs;
}

function invert(cells) {
  return cells.map((cell) => 1 - cell);
}

function round(part) {
  return Math.round(1e4 * part) / 1e4;
}

class Grid {
  constructor(colours, width, height) {
    const [red, green, blue] = colours;
    const luminance = red.map((value, cell) => 0.299 * value + 0.587 * green[cell] + 0.114 * blue[cell]);
    Object.assign(this, {colours, width, height, luminance, size: width * height});
    this.brightness = quantile(luminance, 0.6);
    this.saturation = red.map((value, cell) =>
      Math.max(value, green[cell], blue[cell]) - Math.min(value, green[cell], blue[cell]));
    this.neighbours = Array.from(luminance, (_value, cell) => this.findNeighbours(cell));
    // the greatest difference of a colour from that of a neighbour
    this.edges = luminance.map((_value, cell) => Math.max(0, ...this.neighbours[cell].flatMap((other) =>
      colours.map((plane) => Math.abs(plane[cell] - plane[other])))));
  }

  findNeighbours(cell) {
    const {width, size} = this;
    const x = cell % width;
    return [x > 0 ? cell - 1 : -1, x < width - 1 ? cell + 1 : -1, cell - width, cell + width < size ? cell + width : -1]
      .filter((other) => other >= 0);
  }

  // Regions that hang together, as lists of cells.
  split(isInside) {
    const seen = new Uint8Array(this.size);
    const regions = [];
    for (let start = 0; start < this.size; start += 1) {
      if (seen[start] || !isInside(start)) continue;
      const region = [start];
      seen[start] = 1;
      for (const cell of region) {
        for (const other of this.neighbours[cell]) {
          if (seen[other] || !isInside(other)) continue;
          seen[other] = 1;
          region.push(other);
        }
      }
      regions.push(region);
    }
    return regions;
  }

  // What hangs together from the upper border, without what is small in it.
  grow(edge) {
    const {width, height, size} = this;
    const isTop = (cell) => cell < 2 * width;
    const most = Math.max(3, LEAST_TOP * width);
    let cells = new Uint8Array(size);
    for (const region of this.split((cell) => this.edges[cell] < edge)) {
      if (region.filter(isTop).length >= most) for (const cell of region) cells[cell] = 1;
    }
    cells = this.narrow(this.widen(cells, 2), 2);
    const isRim = (cell) => cell % width === 0 || cell % width === width - 1 || cell >= width * (height - 1);
    for (const hole of this.split((cell) => !cells[cell])) {
      if (hole.length < HOLE * size && !hole.some(isRim)) for (const cell of hole) cells[cell] = 1;
    }
    return this.widen(this.narrow(cells, 1), 1);
  }

  // Cells with one that is marked at most so far away in both directions.
  widen(cells, radius) {
    return Uint8Array.from(boxSum(cells, this.width, this.height, radius), (sum) => sum > 0);
  }

  narrow(cells, radius) {
    return invert(this.widen(invert(cells), radius));
  }

  // The mean of a plane over cells for which something holds; 0 without any.
  mean(plane, isIn) {
    let [sum, count] = [0, 0];
    for (let cell = 0; cell < this.size; cell += 1) {
      if (!isIn(cell)) continue;
      sum += plane[cell];
      count += 1;
    }
    return count && sum / count;
  }

  isPlausible(cells) {
    const isIn = (cell) => cells[cell];
    const last = this.width * (this.height - 1);
    if (this.mean(cells, () => true) < LEAST_SHARE || this.mean(cells, (cell) => cell >= last) > MOST_BOTTOM) return false;
    const isBlank = quantile(this.luminance.filter((_value, cell) => cells[cell]), 0.95) > BLANK.brightest
      && this.mean(this.saturation, isIn) < BLANK.saturation;
    return !isBlank && this.measureClouds(cells) >= CLOUDS;
  }

  // How far luminance is from its mean around, on the whole.
  measureClouds(cells) {
    const {width, height} = this;
    const sums = boxSum(this.luminance.map((value, cell) => value * cells[cell]), width, height, AROUND);
    const counts = boxSum(cells, width, height, AROUND);
    const squares = this.luminance.map((value, cell) => cells[cell] && (value - sums[cell] / counts[cell]) ** 2);
    return Math.sqrt(this.mean(squares, (cell) => cells[cell]));
  }

  judge(cells) {
    const {width, height, edges, luminance} = this;
    const isIn = (cell) => cells[cell];
    const isOut = (cell) => !cells[cell];
    const of = (side) => (cell) => side(cell) && this.neighbours[cell].some((other) => cells[other] !== cells[cell]);
    const share = this.mean(cells, () => true);
    const [red, green, blue] = this.colours.map((plane) => this.mean(plane, isIn));
    const bright = this.mean(luminance, isIn);
    const contrast = bright - this.mean(luminance, isOut);
    const inner = this.mean(edges, isIn);
    const column = (x) => this.mean(cells, (cell) => cell % width === x);
    const lowest = Array.from({length: width}, (_none, x) => {
      let y = height - 1;
      while (y > 0 && !cells[y * width + x]) y -= 1;
      return y;
    });
    const steps = lowest.slice(1).map((y, x) => Math.abs(y - lowest[x]));
    const values = {
      share: Math.min(share, 0.6),
      rim: Math.log(Math.max(this.mean(edges, of(isIn)), this.mean(edges, of(isOut))) / (inner + 0.01) + 0.1),
      rest: Math.log(this.mean(edges, isOut) + 0.01),
      calm: Math.log(inner + 0.005),
      sides: (column(0) + column(width - 1)) / 2,
      above: this.mean(luminance.map((value) => value > this.brightness), isIn),
      free: this.mean(cells, (cell) => cell >= width * (height - 1)) < 0.02,
      bright,
      contrast,
      large: contrast * share,
      blue: blue - red,
      ragged: steps.reduce((sum, step) => sum + step, 0) / steps.length / height,
      top: this.mean(cells, (cell) => cell < width * Math.max(1, Math.floor(height / 20))),
      green: Math.max(0, green - (red + blue) / 2),
      magenta: Math.max(0, (red + blue) / 2 - green),
    };
    return Object.entries(WEIGHTS).reduce((sum, [name, weight]) => sum + weight * values[name], 0);
  }
}

function quantile(values, part) {
  const sorted = values.slice().sort();
  return sorted[Math.floor(part * (sorted.length - 1))] ?? 0;
}
