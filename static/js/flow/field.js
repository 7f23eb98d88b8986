// What flows, where and how fast, on a grid over the photo. modules/engines/camera/ computes the same numbers, so that
// what is seen under the finger is what is made.

import {Edges} from './edges.js';
import {averageColours, boxSum, cut, divide, multiply, step} from './grid.js';
import {forCells, makeLayer, MARGIN} from './layer.js';
import {Likeness} from './likeness.js';

const CELLS = 256;
// what the guided filter gives: from where a cell moves, and how much above that it moves in full
const [STAYS, RAMP] = [0.5, 0.45];
// cells over which contrast is measured
const AROUND = 8;
// radius in cells up to which a stroke is too thin for the guided filter, and from twice which it is not at all
const THIN = 6;
const LEAST = 1e-4;
// cells that one step along the field may take, and how many steps
const STRIDE = 1.5;
const STEPS = {least: 4, most: 64};
// cells between two values of the noise
const LATTICE = 10;

export class Field {
  // `picture` has data (RGBA), width and height.
  constructor(picture) {
    const {width, height} = picture;
    const scale = Math.min(CELLS, Math.max(width, height)) / Math.max(width, height);
    const [across, down] = [width, height].map((side) => Math.max(1, Math.floor(side * scale + 0.5)));
    Object.assign(this, {width: across, height: down, guide: averageColours(picture, across, down), layers: new WeakMap()});
    this.edges = new Edges(this);
    this.likeness = new Likeness(this);
    this.noise = makeNoise(across, down);
  }

  // The photo's colours, four numbers a cell.
  get colours() {
    const all = {left: 0, top: 0, width: this.width, height: this.height};
    return pack([...this.guide, this.noise], all, this);
  }

  // What the shaders need of these marks: textures of four numbers a cell, how many steps a trace has, and whether
  // anything flows.
  find(marks) {
    const layers = this.layersOf(marks);
    if (!layers.flows.length) return {flows: false};
    const patch = findPatch(layers.flows, this);
    const of = (plane) => cut(plane, patch, this);
    const guide = this.guide.map(of);
    const {cover, reach, thin} = this.cover(layers, patch);
    const factors = this.edges.fit(cover, patch);
    hold(factors, thin);
    const moving = findMoving(factors, guide, reach);
    const {x, y, fastest} = findMotion(layers.flows, narrow(moving, thin, patch), patch);
    const low = average(guide, moving, patch);
    return {
      motion: pack([x, y, moving, of(this.noise)], patch, this),
      edge: pack(factors, patch, this),
      low: pack([...low, reach], patch, this),
      steps: Math.min(STEPS.most, Math.max(STEPS.least, Math.ceil(fastest / STRIDE))),
      flows: fastest > 0,
    };
  }

  // A mark's layer is computed once.
  layersOf(marks) {
    const layers = {flows: [], stays: []};
    for (const mark of marks) {
      if (!this.layers.has(mark)) this.layers.set(mark, makeLayer(mark, this));
      const layer = this.layers.get(mark);
      if (layer) layers[mark.kind].push(layer);
    }
    return layers;
  }

  // Where the strokes are, but for what stays and what looks like what stays; how far they may reach; where they are thin.
  cover({flows, stays}, patch) {
    const [cover, reach, still, thin] = [planeOf(patch), planeOf(patch), planeOf(patch), planeOf(patch)];
    for (const layer of stays) {
      forCells(layer, patch, (cell, index) => { still[cell] = Math.max(still[cell], layer.stays[index]); });
    }
    const place = (cell) => (patch.top + Math.floor(cell / patch.width)) * this.width + patch.left + cell % patch.width;
    const around = this.likeness.countOthers(findNear(flows, still, patch).map(place));
    for (const layer of flows) {
      const middle = this.likeness.count(findMiddle(layer, still, patch).map(place));
      const lone = 1 - step((layer.radius - THIN) / THIN);
      forCells(layer, patch, (cell, index) => {
        reach[cell] = Math.max(reach[cell], layer.reach[index] * (1 - still[cell]));
        const soft = layer.soft[index] * (1 - still[cell]);
        if (soft <= cover[cell] && soft * lone <= thin[cell]) return;
        const part = soft * this.likeness.find(place(cell), middle, around);
        cover[cell] = Math.max(cover[cell], part);
        thin[cell] = Math.max(thin[cell], part * lone);
      });
    }
    return {cover, reach, thin};
  }
}

// ---- on a patch of the grid ----

// What the strokes reach, and what is around that.
function findPatch(flows, grid) {
  const ends = flows.map(({left, top, width, height}) => [left, top, left + width, top + height]);
  const [left, top] = [0, 1].map((side) => Math.max(0, Math.min(...ends.map((end) => end[side])) - 2 * AROUND));
  const right = Math.min(grid.width, Math.max(...ends.map((end) => end[2])) + 2 * AROUND);
  const bottom = Math.min(grid.height, Math.max(...ends.map((end) => end[3])) + 2 * AROUND);
  return {left, top, width: right - left, height: bottom - top};
}

function planeOf({width, height}) {
  return new Float64Array(width * height);
}

// Cells that a stroke reaches, but for those that stay.
function findNear(flows, still, patch) {
  const isNear = new Uint8Array(still.length);
  for (const layer of flows) {
    forCells(layer, patch, (cell, index) => {
      if (layer.distance[index] <= layer.radius + MARGIN && still[cell] < 1) isNear[cell] = 1;
    });
  }
  const cells = [];
  for (let cell = 0; cell < isNear.length; cell += 1) if (isNear[cell]) cells.push(cell);
  return cells;
}

// Cells in a stroke's middle.
function findMiddle(layer, still, patch) {
  const cells = [];
  const middle = Math.max(1, layer.radius / 3);
  forCells(layer, patch, (cell, index) => {
    if (layer.distance[index] <= middle && still[cell] < 1) cells.push(cell);
  });
  return cells;
}

// A thin stroke moves whatever the colours around it are.
function hold([a, b, c, constant], thin) {
  for (let cell = 0; cell < thin.length; cell += 1) {
    for (const plane of [a, b, c, constant]) plane[cell] *= 1 - thin[cell];
    constant[cell] += (STAYS + RAMP) * thin[cell];
  }
}

// How much of each cell moves.
function findMoving([a, b, c, constant], [red, green, blue], reach) {
  const moving = new Float64Array(reach.length);
  for (let cell = 0; cell < moving.length; cell += 1) {
    if (!reach[cell]) continue;
    const share = a[cell] * red[cell] + b[cell] * green[cell] + c[cell] * blue[cell] + constant[cell];
    moving[cell] = step((share - STAYS) / RAMP) * reach[cell];
  }
  return moving;
}

// The same without its rim, so that an edge within a cell stands still; of a thin stroke nothing else would be left.
function narrow(moving, thin, patch) {
  const sums = overNeighbours(overNeighbours(moving, patch, Math.min), patch, (one, other) => one + other);
  for (let cell = 0; cell < sums.length; cell += 1) {
    sums[cell] = Math.max(Math.min(sums[cell] / 9, moving[cell]), thin[cell] * moving[cell]);
  }
  return sums;
}

// Over 3 × 3 cells; those at the border stand for what lies beyond it too.
function overNeighbours(plane, {width}, join) {
  const [rows, all] = [new Float64Array(plane.length), new Float64Array(plane.length)];
  for (let start = 0; start < plane.length; start += width) {
    for (let x = 0; x < width; x += 1) {
      const [before, after] = [plane[start + Math.max(0, x - 1)], plane[start + Math.min(width - 1, x + 1)]];
      rows[start + x] = join(join(before, plane[start + x]), after);
    }
  }
  for (let cell = 0; cell < all.length; cell += 1) {
    const [above, below] = [cell < width ? cell : cell - width, cell + width < all.length ? cell + width : cell];
    all[cell] = join(join(rows[above], rows[cell]), rows[below]);
  }
  return all;
}

// The strokes' velocities blended into each other, and the greatest of them.
function findMotion(flows, calm, patch) {
  const [count, x, y] = [planeOf(patch), planeOf(patch), planeOf(patch)];
  for (const layer of flows) {
    forCells(layer, patch, (cell, index) => {
      count[cell] += layer.count[index];
      x[cell] += layer.x[index];
      y[cell] += layer.y[index];
    });
  }
  let square = 0;
  for (let cell = 0; cell < calm.length; cell += 1) {
    const factor = count[cell] > 0 ? calm[cell] / count[cell] : 0;
    x[cell] *= factor;
    y[cell] *= factor;
    square = Math.max(square, x[cell] ** 2 + y[cell] ** 2);
  }
  return {x, y, fastest: Math.sqrt(square)};
}

// The colours without their detail, averaged twice over what moves.
function average(guide, moving, {width, height}) {
  const weights = moving;
  for (let cell = 0; cell < weights.length; cell += 1) weights[cell] = Math.max(LEAST, weights[cell]);
  const sums = boxSum(weights, width, height, AROUND);
  const once = (plane) => divide(boxSum(multiply(plane, weights), width, height, AROUND), sums);
  return guide.map((plane) => once(once(plane)));
}

// Four planes of a patch as a texture of the whole grid.
function pack(planes, {left, top, width, height}, grid) {
  const texture = new Float32Array(4 * grid.width * grid.height);
  for (let y = 0; y < height; y += 1) {
    const start = 4 * ((top + y) * grid.width + left);
    for (let x = 0; x < width; x += 1) {
      for (let place = 0; place < 4; place += 1) texture[start + 4 * x + place] = planes[place][y * width + x];
    }
  }
  return texture;
}

// Smooth, and the same for every photo.
function makeNoise(width, height) {
  const hash = (column, row) => {
    let value = (Math.imul(column, 374761393) + Math.imul(row, 668265263)) >>> 0;
    value = Math.imul(value ^ value >>> 13, 1274126177);
    return ((value ^ value >>> 16) >>> 0) / 2 ** 32;
  };
  return Float64Array.from({length: width * height}, (_none, cell) => {
    const [x, y] = [(cell % width + 0.5) / LATTICE, (Math.floor(cell / width) + 0.5) / LATTICE];
    const [column, row] = [Math.floor(x), Math.floor(y)];
    const [partX, partY] = [step(x - column), step(y - row)];
    const mix = (line) => hash(column, line) * (1 - partX) + hash(column + 1, line) * partX;
    return mix(row) * (1 - partY) + mix(row + 1) * partY;
  });
}
