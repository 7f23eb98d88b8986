// What one mark does, within the part of the grid that it reaches.

import {boxSum, distances, step} from './grid.js';

// cells that a mark ends in beyond its width, and the widest that its soft edge can be within it
export const MARGIN = 3;
const SOFT = 4;
const STAYS_MARGIN = 2;
// the least radius, in cells
const LEAST = {flows: 1.5, stays: 1};
// radius, in cells, over which directions are smoothed, at most
const SMOOTHED = 6;
// of a stroke at speed 1, in three seconds, in parts of the longer side
const TRAVEL = 0.1;

// `grid` has width and height. Gives {left, top, width, height, distance, radius} and, where it flows, {count, x, y},
// smeared velocities and how many there were, {soft, reach}, else {stays}; null where it does nothing.
export function makeLayer({kind, points, speed, width}, grid) {
  const long = Math.max(grid.width, grid.height);
  const radius = Math.max(LEAST[kind], width * long / 2);
  const samples = samplesOf(points.map(([x, y]) => [x * grid.width, y * grid.height]), radius);
  if (kind === 'flows' && samples.length === 1) return null;
  const box = Math.ceil((radius + MARGIN) / 3);
  const {places, ...part} = findPart(samples, Math.max(3 * box, Math.ceil(radius) + MARGIN) + 1, grid);
  const marked = new Uint8Array(part.width * part.height);
  for (const place of places) marked[place] = 1;
  const distance = distances(marked, part.width, part.height);
  const layer = {...part, distance, radius};
  if (kind === 'stays') return {...layer, stays: fade(distance, radius + STAYS_MARGIN, STAYS_MARGIN)};
  const smear = (valueOf) => {
    let plane = new Float64Array(marked.length);
    for (let index = 0; index < places.length; index += 1) plane[places[index]] += valueOf(samples[index]);
    for (let time = 0; time < 3; time += 1) plane = boxSum(plane, part.width, part.height, box);
    // whole numbers until here, so that what is far away is nothing at all
    const factor = (2 * box + 1) ** -6;
    for (let cell = 0; cell < plane.length; cell += 1) plane[cell] *= factor;
    return plane;
  };
  const travel = TRAVEL * long * speed;
  return {
    ...layer,
    count: smear(() => 1),
    x: smear((sample) => sample[2] * travel),
    y: smear((sample) => sample[3] * travel),
    soft: fade(distance, radius, Math.min(radius, SOFT)),
    reach: fade(distance, radius + MARGIN, MARGIN),
  };
}

// From 1 to 0, where it is farther than `end`, over some cells.
function fade(distance, end, cells) {
  const faded = new Float64Array(distance.length);
  for (let cell = 0; cell < faded.length; cell += 1) faded[cell] = step((end - distance[cell]) / cells);
  return faded;
}

// Calls `act` with every cell of a patch of the grid that the layer reaches, and its index in the layer.
export function forCells(layer, patch, act) {
  const [left, right] = [Math.max(layer.left, patch.left), Math.min(layer.left + layer.width, patch.left + patch.width)];
  const [top, bottom] = [Math.max(layer.top, patch.top), Math.min(layer.top + layer.height, patch.top + patch.height)];
  for (let y = top; y < bottom; y += 1) {
    const [cell, index] = [(y - patch.top) * patch.width - patch.left, (y - layer.top) * layer.width - layer.left];
    for (let x = left; x < right; x += 1) act(cell + x, index + x);
  }
}

// The part of the grid within a distance of the samples, and which of its cells each sample is in.
function findPart(samples, distance, grid) {
  const cells = samples.map(([x, y]) => [Math.min(grid.width - 1, Math.floor(x)), Math.min(grid.height - 1, Math.floor(y))]);
  const [xs, ys] = [0, 1].map((axis) => cells.map((cell) => cell[axis]));
  const [left, top] = [Math.max(0, least(xs) - distance), Math.max(0, least(ys) - distance)];
  const width = Math.min(grid.width - 1, most(xs) + distance) - left + 1;
  const height = Math.min(grid.height - 1, most(ys) + distance) - top + 1;
  return {left, top, width, height, places: cells.map(([x, y]) => (y - top) * width + x - left)};
}

function least(values) {
  return values.reduce((one, other) => Math.min(one, other));
}

function most(values) {
  return values.reduce((one, other) => Math.max(one, other));
}

// Points along a line, two for each cell, with the direction there: [x, y, directionX, directionY].
function samplesOf(points, radius) {
  const lengths = points.slice(1).map(([x, y], index) => Math.hypot(x - points[index][0], y - points[index][1]));
  const whole = lengths.reduce((sum, one) => sum + one, 0);
  if (!whole) return [points[0]];
  const count = Math.floor(2 * whole) + 2;
  const samples = [];
  let [segment, before] = [0, 0];
  for (let index = 0; index < count; index += 1) {
    const along = whole * index / (count - 1);
    while (segment < lengths.length - 1 && before + lengths[segment] < along) {
      before += lengths[segment];
      segment += 1;
    }
    const part = lengths[segment] && Math.min(1, (along - before) / lengths[segment]);
    const [[x, y], [endX, endY]] = [points[segment], points[segment + 1]];
    samples.push([x + (endX - x) * part, y + (endY - y) * part]);
  }
  const around = Math.max(1, Math.floor(2 * Math.min(radius, SMOOTHED) + 0.5));
  return samples.map((sample, index) => {
    const [start, end] = [samples[Math.max(0, index - around)], samples[Math.min(count - 1, index + around)]];
    const [x, y] = [end[0] - start[0], end[1] - start[1]];
    const long = Math.hypot(x, y);
    return long < 1e-9 ? [...sample, 0, 0] : [...sample, x / long, y / long];
  });
}
