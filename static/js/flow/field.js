// What flows, where and how fast, on a grid over the photo. modules/engines/camera/ computes the same numbers, so that
// what is seen under the finger is what is made.

import {Edges} from './edges.js';
import {averageColours, boxSum, step} from './grid.js';
import {forCells, makeLayer, MARGIN} from './layer.js';
import {Likeness} from './likeness.js';

const CELLS = 256;
// what the guided filter gives: from where a cell moves, and how much above that it moves in full
const [STAYS, RAMP] = [0.5, 0.45];
// cells over which contrast is measured
const AROUND = 8;
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
    const guide = averageColours(picture, across, down);
    Object.assign(this, {width: across, height: down, guide, layers: new WeakMap()});
    this.edges = new Edges(guide, across, down);
    this.likeness = new Likeness(guide, across, down);
    this.noise = makeNoise(across, down);
  }

  // The photo's colours, four numbers a cell.
  get colours() {
    return pack([...this.guide, this.noise]);
  }

  // What the shaders need of these marks: textures of four numbers a cell, how many steps a trace has, and whether
  // anything flows.
  find(marks) {
    const layers = this.layersOf(marks);
    const {count, x, y} = this.blend(layers.flows);
    const {cover, reach} = this.cover(layers);
    const factors = this.edges.fit(cover);
    const moving = this.findMoving(factors, reach);
    const calm = this.narrow(moving);
    let fastest = 0;
    for (let cell = 0; cell < calm.length; cell += 1) {
      const factor = count[cell] > 0 ? calm[cell] / count[cell] : 0;
      x[cell] *= factor;
      y[cell] *= factor;
      fastest = Math.max(fastest, x[cell] ** 2 + y[cell] ** 2);
      moving[cell] = Math.max(LEAST, moving[cell]);
    }
    return {
      motion: pack([x, y, moving, this.noise]),
      edge: pack(factors),
      low: pack([...this.average(moving), reach]),
      steps: Math.min(STEPS.most, Math.max(STEPS.least, Math.ceil(Math.sqrt(fastest) / STRIDE))),
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

  plane() {
    return new Float64Array(this.width * this.height);
  }

  // Velocities of all strokes, and how many there were: to be divided by.
  blend(flows) {
    const [count, x, y] = [this.plane(), this.plane(), this.plane()];
    for (const layer of flows) {
      forCells(layer, this, (cell, index) => {
        count[cell] += layer.count[index];
        x[cell] += layer.x[index];
        y[cell] += layer.y[index];
      });
    }
    return {count, x, y};
  }

  // Where the strokes are, but for what stays and what looks like what stays; and how far they may reach.
  cover({flows, stays}) {
    const [cover, reach, still] = [this.plane(), this.plane(), this.plane()];
    for (const layer of stays) {
      forCells(layer, this, (cell, index) => { still[cell] = Math.max(still[cell], layer.stays[index]); });
    }
    const around = this.countAround(flows, still);
    for (const layer of flows) {
      const own = this.countWithin(layer, still);
      forCells(layer, this, (cell, index) => {
        reach[cell] = Math.max(reach[cell], layer.reach[index] * (1 - still[cell]));
        const soft = layer.soft[index] * (1 - still[cell]);
        if (soft > cover[cell]) cover[cell] = Math.max(cover[cell], soft * this.likeness.find(cell, own, around));
      });
    }
    return {cover, reach};
  }

  // The colours of what no stroke reaches, and of what stays.
  countAround(flows, still) {
    const isNear = new Uint8Array(still.length);
    for (const layer of flows) {
      forCells(layer, this, (cell, index) => { isNear[cell] ||= layer.distance[index] <= layer.radius + MARGIN; });
    }
    const cells = [];
    for (let cell = 0; cell < still.length; cell += 1) if (!isNear[cell] || still[cell] >= 1) cells.push(cell);
    return this.likeness.count(cells);
  }

  // The colours in a stroke's middle.
  countWithin(layer, still) {
    const cells = [];
    const middle = Math.max(1, layer.radius / 3);
    forCells(layer, this, (cell, index) => {
      if (layer.distance[index] <= middle && still[cell] < 1) cells.push(cell);
    });
    return this.likeness.count(cells);
  }

  // How much of each cell moves.
  findMoving([a, b, c, constant], reach) {
    const [red, green, blue] = this.guide;
    const moving = this.plane();
    for (let cell = 0; cell < moving.length; cell += 1) {
      if (!reach[cell]) continue;
      const share = a[cell] * red[cell] + b[cell] * green[cell] + c[cell] * blue[cell] + constant[cell];
      moving[cell] = step((share - STAYS) / RAMP) * reach[cell];
    }
    return moving;
  }

  // The same without its rim, so that an edge within a cell stands still.
  narrow(moving) {
    const least = this.overNeighbours(moving, Math.min);
    const sums = this.overNeighbours(least, (one, other) => one + other);
    return sums.map((sum, cell) => Math.min(sum / 9, moving[cell]));
  }

  // Over 3 × 3 cells; those at the border stand for what lies beyond it too.
  overNeighbours(plane, join) {
    const {height, width} = this;
    const [rows, all] = [this.plane(), this.plane()];
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const cell = y * width + x;
        rows[cell] = join(join(plane[x ? cell - 1 : cell], plane[cell]), plane[x < width - 1 ? cell + 1 : cell]);
      }
    }
    for (let cell = 0; cell < all.length; cell += 1) {
      const [above, below] = [cell < width ? cell : cell - width, cell + width < all.length ? cell + width : cell];
      all[cell] = join(join(rows[above], rows[cell]), rows[below]);
    }
    return all;
  }

  // The colours without their detail, averaged twice over what moves.
  average(weights) {
    const {height, width} = this;
    const sums = boxSum(weights, width, height, AROUND);
    const once = (plane) => {
      const weighted = boxSum(plane.map((value, cell) => value * weights[cell]), width, height, AROUND);
      for (let cell = 0; cell < sums.length; cell += 1) weighted[cell] /= sums[cell];
      return weighted;
    };
    return this.guide.map((plane) => once(once(plane)));
  }
}

// Four planes as one texture.
function pack(planes) {
  const texture = new Float32Array(4 * planes[0].length);
  planes.forEach((plane, place) => {
    for (let cell = 0; cell < plane.length; cell += 1) texture[4 * cell + place] = plane[cell];
  });
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
