// Marks on a photo: lines with a width that flow, at a speed, or stay. Points are parts of the photo's width and height,
// widths parts of its longer side.

export const WIDTH = {least: 0.005, most: 0.5};
const MOST_POINTS = 512;
// how far a line may move when points are left out, in parts of the longer side
const TOLERANCE = 0.0015;
// between lines that cover a photo together
const SPACING = 0.3;
const RADIANS = Math.PI / 180;

// ---- the form's field ----

export function parse(field) {
  if (!field) return [];
  const {strokes = [], pins = []} = JSON.parse(field);
  return [...strokes.map((one) => ({kind: 'flows', ...one})), ...pins.map((one) => ({kind: 'stays', ...one}))];
}

// Empty where there are none.
export function write(marks) {
  if (!marks.length) return '';
  const of = (kind) => marks.filter((mark) => mark.kind === kind);
  return JSON.stringify({
    strokes: of('flows').map(({points, width, speed}) => ({points, width, speed})),
    pins: of('stays').map(({points, width}) => ({points, width})),
  });
}

// ---- what is known of a mark; `ratio` is the photo's width over its height ----

// Both sides in parts of the longer one.
export function sides(ratio) {
  return [Math.min(1, ratio), Math.min(1, 1 / ratio)];
}

// Points in parts of the longer side.
export function lineOf({points}, ratio) {
  const [across, down] = sides(ratio);
  return points.map(([x, y]) => [x * across, y * down]);
}

export function length(mark, ratio) {
  const line = lineOf(mark, ratio);
  return line.slice(1).reduce((sum, [x, y], place) => sum + Math.hypot(x - line[place][0], y - line[place][1]), 0);
}

// Degrees clockwise from the right, from its beginning to its end.
export function direction(mark, ratio) {
  const line = lineOf(mark, ratio);
  const [[x, y], [endX, endY]] = [line[0], line.at(-1)];
  return (Math.atan2(endY - y, endX - x) / RADIANS + 360) % 360;
}

// How far a point is from the line, in parts of the longer side.
export function distance(point, mark, ratio) {
  const [here] = lineOf({points: [point]}, ratio);
  return distanceTo(here, lineOf(mark, ratio));
}

// ---- other points for a mark ----

export function reverse({points}) {
  return [...points].reverse();
}

// As far as it stays on the photo.
export function move({points}, x, y) {
  const [right, down] = [x, y].map((step, axis) => {
    const values = points.map((point) => point[axis]);
    return Math.min(1 - Math.max(...values), Math.max(-Math.min(...values), step));
  });
  return points.map((point) => [inside(point[0] + right), inside(point[1] + down)]);
}

// Around its middle, clockwise.
export function rotate(mark, degrees, ratio) {
  const line = lineOf(mark, ratio);
  const [x, y] = [0, 1].map((axis) => {
    const values = line.map((point) => point[axis]);
    return (Math.min(...values) + Math.max(...values)) / 2;
  });
  const [cos, sin] = [Math.cos(degrees * RADIANS), Math.sin(degrees * RADIANS)];
  return place(line.map((point) => [
    x + (point[0] - x) * cos - (point[1] - y) * sin, y + (point[0] - x) * sin + (point[1] - y) * cos,
  ]), ratio);
}

// The same line with as few points as it needs.
export function simplify(mark, ratio) {
  const line = lineOf(mark, ratio);
  let kept;
  let tolerance = TOLERANCE;
  do {
    kept = thin(line, tolerance);
    tolerance *= 2;
  } while (kept.length > MOST_POINTS);
  return place(kept, ratio);
}

// Lines beside each other, all in one direction, that cover the whole photo.
export function cover(degrees, ratio) {
  const [across, down] = sides(ratio);
  const [x, y] = [Math.cos(degrees * RADIANS), Math.sin(degrees * RADIANS)];
  const along = (Math.abs(x) * across + Math.abs(y) * down) / 2;
  const beside = (Math.abs(y) * across + Math.abs(x) * down) / 2;
  const count = Math.max(1, Math.ceil(2 * beside / SPACING - 1));
  return Array.from({length: count}, (_none, index) => {
    const off = count > 1 ? (2 * index / (count - 1) - 1) * (beside - SPACING / 2) : 0;
    const ends = [-along, along].map((part) => [across / 2 + x * part - y * off, down / 2 + y * part + x * off]);
    return place(ends, ratio);
  });
}

// ---- lines ----

// Back to parts of the photo's sides.
function place(line, ratio) {
  const [across, down] = sides(ratio);
  return line.map(([x, y]) => [inside(x / across), inside(y / down)]);
}

function inside(part) {
  return Math.round(1e4 * Math.min(1, Math.max(0, part))) / 1e4;
}

// After Ramer, Douglas and Peucker: the point farthest from the straight line stays if it is farther than `tolerance`.
function thin(line, tolerance) {
  if (line.length < 3) return line;
  const kept = new Uint8Array(line.length);
  const open = [[0, line.length - 1]];
  kept[0] = kept[line.length - 1] = 1;
  while (open.length) {
    const [start, end] = open.pop();
    let [farthest, most] = [0, tolerance];
    for (let index = start + 1; index < end; index += 1) {
      const far = distanceToPart(line[index], line[start], line[end]);
      if (far > most) [farthest, most] = [index, far];
    }
    if (farthest) {
      kept[farthest] = 1;
      open.push([start, farthest], [farthest, end]);
    }
  }
  return line.filter((_point, index) => kept[index]);
}

function distanceTo(point, line) {
  return Math.min(...line.map((start, index) => distanceToPart(point, start, line[index + 1] ?? start)));
}

// From the straight line between two points.
function distanceToPart([x, y], [startX, startY], [endX, endY]) {
  const [alongX, alongY] = [endX - startX, endY - startY];
  const square = alongX ** 2 + alongY ** 2;
  const part = square && Math.min(1, Math.max(0, ((x - startX) * alongX + (y - startY) * alongY) / square));
  return Math.hypot(x - startX - part * alongX, y - startY - part * alongY);
}
