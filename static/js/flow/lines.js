// Marks as they are seen on the photo: how wide each is, and where it flows.

import {lineOf, sides} from './marks.js';

const NAMESPACE = 'http://www.w3.org/2000/svg';
// units of the picture's longer side
const LONG = 1000;
// of an arrow's two sides, and between arrows along a line; in pixels
const HEAD = 8;
const STEP = 60;

// `pixel` is how many units of the picture are as long as a pixel of the screen.
export function drawLines(svg, marks, {ratio, pixel, chosen = null}) {
  const [width, height] = sides(ratio).map((side) => side * LONG);
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.replaceChildren(...marks.map((mark) => drawMark(mark, {ratio, pixel, isChosen: mark === chosen})));
}

function drawMark(mark, {ratio, pixel, isChosen}) {
  const line = lineOf(mark, ratio).map((point) => point.map((part) => part * LONG));
  const group = make('g', {class: `mark ${mark.kind}${isChosen ? ' chosen' : ''}`});
  const path = pathOf(line);
  group.append(make('path', {class: 'band', d: path, 'stroke-width': mark.width * LONG}));
  if (mark.kind === 'stays') {
    group.append(make('path', {class: 'core', d: path}));
    return group;
  }
  const arrows = findArrows(line, STEP * pixel).map(([x, y, angle]) => {
    const ends = [-1, 1].map((side) => {
      const to = angle + Math.PI + side * 0.6;
      return `${round(x + Math.cos(to) * HEAD * pixel)} ${round(y + Math.sin(to) * HEAD * pixel)}`;
    });
    return `M${ends[0]}L${round(x)} ${round(y)}L${ends[1]}`;
  });
  const whole = `${path}${arrows.join('')}`;
  group.append(make('path', {class: 'halo', d: whole}), make('path', {class: 'line', d: whole}));
  return group;
}

function make(name, attributes) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// A single point is a line too: that of its round end.
function pathOf(line) {
  const [first, ...others] = line.map(([x, y]) => `${round(x)} ${round(y)}`);
  return `M${first}L${others.length ? others.join('L') : first}`;
}

// One at the end, the others evenly before it: [x, y, angle].
function findArrows(line, step) {
  const found = [];
  let left = 0;
  for (let index = line.length - 1; index > 0; index -= 1) {
    const [[x, y], [endX, endY]] = [line[index - 1], line[index]];
    const long = Math.hypot(endX - x, endY - y);
    const angle = Math.atan2(endY - y, endX - x);
    for (; left <= long; left += step) {
      const part = long && left / long;
      found.push([endX + (x - endX) * part, endY + (y - endY) * part, angle]);
    }
    left -= long;
  }
  return found;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
