// Sums over squares, distances and smaller pictures, on arrays of numbers that go row by row.

// sums along rows, on their way to sums over squares
let rows = new Float64Array(0);

// Sums over the squares that reach `radius` cells each way, or rather over what of them lies on the grid.
export function boxSum(values, width, height, radius) {
  if (rows.length < values.length) rows = new Float64Array(values.length);
  for (let start = 0; start < values.length; start += width) {
    let sum = 0;
    for (let x = -radius; x < width; x += 1) {
      if (x + radius < width) sum += values[start + x + radius];
      if (x > radius) sum -= values[start + x - radius - 1];
      if (x >= 0) rows[start + x] = sum;
    }
  }
  const sums = new Float64Array(values.length);
  const column = new Float64Array(width);
  for (let y = -radius; y < height; y += 1) {
    const [here, next, last] = [y * width, (y + radius) * width, (y - radius - 1) * width];
    if (y + radius < height) for (let x = 0; x < width; x += 1) column[x] += rows[next + x];
    if (y > radius) for (let x = 0; x < width; x += 1) column[x] -= rows[last + x];
    if (y >= 0) for (let x = 0; x < width; x += 1) sums[here + x] = column[x];
  }
  return sums;
}

// From 0 to 1, level at both ends.
export function step(value) {
  const x = value < 0 ? 0 : value > 1 ? 1 : value;
  return x * x * (3 - 2 * x);
}

// The part of a plane that lies in a patch of the grid.
export function cut(plane, {left, top, width, height}, grid) {
  const part = new Float64Array(width * height);
  for (let y = 0; y < height; y += 1) {
    const start = (top + y) * grid.width + left;
    part.set(plane.subarray(start, start + width), y * width);
  }
  return part;
}

export function multiply(plane, other) {
  const product = new Float64Array(plane.length);
  for (let cell = 0; cell < plane.length; cell += 1) product[cell] = plane[cell] * other[cell];
  return product;
}

export function divide(plane, other) {
  const quotient = new Float64Array(plane.length);
  for (let cell = 0; cell < plane.length; cell += 1) quotient[cell] = plane[cell] / other[cell];
  return quotient;
}

// Distances in cells to the nearest cell that is marked: exact, after Felzenszwalb and Huttenlocher.
export function distances(marked, width, height) {
  const squares = new Float64Array(marked.length);
  const far = (width + height) ** 2;
  for (let x = 0; x < width; x += 1) {
    let away = far;
    for (let cell = x; cell < marked.length; cell += width) {
      away = marked[cell] ? 0 : away + 1;
      squares[cell] = away;
    }
    for (let cell = marked.length - width + x; cell >= 0; cell -= width) {
      away = Math.min(away + 1, squares[cell]);
      squares[cell] = Math.min(away, far) ** 2;
    }
  }
  const envelope = {values: new Float64Array(width), places: new Int32Array(width), bounds: new Float64Array(width + 1)};
  for (let start = 0; start < marked.length; start += width) squareDistances(squares, start, width, envelope);
  for (let cell = 0; cell < marked.length; cell += 1) squares[cell] = Math.sqrt(squares[cell]);
  return squares;
}

// Along a row: the lower envelope of parabolas, one on each cell.
function squareDistances(squares, start, width, {values, places, bounds}) {
  for (let x = 0; x < width; x += 1) values[x] = squares[start + x];
  let last = 0;
  places[0] = 0;
  bounds[0] = -Infinity;
  for (let x = 1; x < width; x += 1) {
    let meeting;
    for (;;) {
      const place = places[last];
      meeting = (values[x] - values[place] + x * x - place * place) / (2 * (x - place));
      if (meeting > bounds[last]) break;
      last -= 1;
    }
    last += 1;
    places[last] = x;
    bounds[last] = meeting;
  }
  bounds[last + 1] = Infinity;
  let lowest = 0;
  for (let x = 0; x < width; x += 1) {
    while (bounds[lowest + 1] < x) lowest += 1;
    squares[start + x] = (x - places[lowest]) ** 2 + values[places[lowest]];
  }
}

// A picture's colours, 0–1, averaged over the areas of a smaller grid: three planes. `data` is RGBA.
export function averageColours({data, width, height}, across, down) {
  return [0, 1, 2].map((channel) => {
    const rows = new Float64Array(across * height);
    forOverlaps(width, across, (from, to, part) => {
      for (let y = 0; y < height; y += 1) rows[y * across + to] += data[(y * width + from) * 4 + channel] * part;
    });
    const plane = new Float64Array(across * down);
    forOverlaps(height, down, (from, to, part) => {
      for (let x = 0; x < across; x += 1) plane[to * across + x] += rows[from * across + x] * part / 255;
    });
    return plane;
  });
}

// Every pixel of a line with every cell it lies in, and its part of the cell.
function forOverlaps(length, cells, act) {
  const size = length / cells;
  for (let cell = 0; cell < cells; cell += 1) {
    const [start, end] = [cell * size, Math.min(length, (cell + 1) * size)];
    for (let pixel = Math.floor(start); pixel < end; pixel += 1) {
      act(pixel, cell, (Math.min(end, pixel + 1) - Math.max(start, pixel)) / size);
    }
  }
}
