// Every mark as a line of a list: chosen, moved by the arrow keys, turned, removed.

import {put, putAttribute} from '../words.js';
import {direction, move, reverse, rotate} from './marks.js';

const STEP = 0.02;
const ARROWS = {ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP]};
// from the right, clockwise
const DIRECTIONS = ['e', 'se', 's', 'sw', 'w', 'nw', 'n', 'ne'];
const EIGHTH = 45;

export class List {
  // `tell` says a sentence to screen readers.
  constructor(place, template, drawing, tell) {
    Object.assign(this, {place, template, drawing, tell, rows: []});
    drawing.addEventListener('change', () => this.show());
    this.show();
  }

  // Rows are used again, so that the keyboard stays where it is.
  show() {
    const {marks} = this.drawing;
    while (this.rows.length > marks.length) this.rows.pop().remove();
    while (this.rows.length < marks.length) this.rows.push(this.add(this.rows.length));
    marks.forEach((mark, index) => this.fill(this.rows[index], mark));
  }

  fill(row, mark) {
    const isChosen = mark === this.drawing.chosen;
    row.dataset.kind = mark.kind;
    row.toggleAttribute('data-chosen', isChosen);
    row.querySelector('.pick').setAttribute('aria-expanded', String(isChosen));
    put(row.querySelector('.name'), ...nameOf(mark, this.drawing));
    row.querySelector('.changes').hidden = !isChosen;
    putAttribute(row.querySelector('.remove'), 'aria-label', 'flow_remove', {name: nameOf(mark, this.drawing)});
  }

  add(index) {
    const row = this.template.content.firstElementChild.cloneNode(true);
    const mark = () => this.drawing.marks[index];
    row.querySelectorAll('[data-words]').forEach((place) => put(place, place.dataset.words));
    const on = (selector, act) => row.querySelector(selector).addEventListener('click', act);
    on('.pick', () => this.drawing.choose(mark() === this.drawing.chosen ? null : mark()));
    on('.remove', () => this.remove(index));
    on('.reverse', () => this.change({points: reverse(mark())}));
    on('.rotate', () => this.change({points: rotate(mark(), EIGHTH, this.drawing.ratio)}));
    row.addEventListener('keydown', (event) => this.press(event, index));
    this.place.append(row);
    return row;
  }

  change(values, name = '') {
    this.drawing.edit(values, name);
    this.tell(...nameOf(this.drawing.chosen, this.drawing));
  }

  press(event, index) {
    const arrow = ARROWS[event.key];
    if (event.key === 'Delete' || event.key === 'Backspace') this.remove(index);
    else if (!arrow) return;
    else {
      const mark = this.drawing.marks[index];
      if (mark !== this.drawing.chosen) this.drawing.choose(mark);
      this.drawing.edit({points: move(mark, ...arrow)}, 'place');
    }
    event.preventDefault();
  }

  remove(index) {
    const mark = this.drawing.marks[index];
    const name = nameOf(mark, this.drawing);
    this.drawing.remove(mark);
    this.tell('flow_removed', {name});
    const next = this.rows[Math.min(index, this.rows.length - 1)];
    (next?.querySelector('.pick') ?? this.place.closest('dialog').querySelector('[name="flow-brush"]:checked')).focus();
  }
}

// A sentence: its number among those of its kind, and where it flows.
export function nameOf(mark, {marks, ratio}) {
  const number = marks.filter(({kind}) => kind === mark.kind).indexOf(mark) + 1;
  if (mark.kind === 'stays') return ['flow_mark_stays', {number}];
  const index = Math.round(direction(mark, ratio) / EIGHTH) % DIRECTIONS.length;
  return ['flow_mark_flows', {number, direction: [`flow_to_${DIRECTIONS[index]}`]}];
}
