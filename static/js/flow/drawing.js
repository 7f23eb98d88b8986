// What is drawn on a photo, which mark of it is chosen, and the way back.

import {cover, distance, parse, simplify, WIDTH, write} from './marks.js';

const MOST_MARKS = 64;
// a little less than the server takes
const MOST_LETTERS = 60000;
// thin marks can be hit too
const REACH = 0.02;

// Its `change` event means both what is drawn and what is chosen.
export class Drawing extends EventTarget {
  // `ratio` is the photo's width over its height.
  constructor(field, ratio) {
    super();
    Object.assign(this, {ratio, marks: parse(field), chosen: null, earlier: [], edited: ''});
  }

  // The form's field; empty where nothing is drawn.
  get field() {
    return write(this.marks);
  }

  // Tells whether there is room for it. What goes by the same name as the change before it is undone together with it.
  change(marks, chosen = null, name = '') {
    if (marks.length > MOST_MARKS || write(marks).length > MOST_LETTERS) return false;
    if (!name || name !== this.edited) this.earlier.push(this.marks);
    this.put(marks, chosen, name);
    return true;
  }

  put(marks, chosen = null, edited = '') {
    Object.assign(this, {marks, chosen, edited});
    this.dispatchEvent(new Event('change'));
  }

  choose(mark) {
    this.put(this.marks, mark);
  }

  // The mark as it is drawn now; null where there is no room.
  add(mark) {
    const next = {...mark, points: simplify(mark, this.ratio)};
    return this.change([...this.marks, next]) ? next : null;
  }

  // Those of them that are not there yet; null where there is no room.
  addAll(marks) {
    const drawn = this.marks.map((mark) => write([mark]));
    const added = marks.filter((mark) => !drawn.includes(write([mark])));
    return !added.length || this.change([...this.marks, ...added]) ? added : null;
  }

  // The chosen mark with other values.
  edit(values, name = '') {
    const index = this.marks.indexOf(this.chosen);
    const next = {...this.chosen, ...values};
    const marks = this.marks.map((mark) => mark === this.chosen ? next : mark);
    return this.change(marks, next, name && `${index} ${name}`);
  }

  remove(mark) {
    this.change(this.marks.filter((one) => one !== mark));
  }

  clear() {
    this.change([]);
  }

  undo() {
    this.put(this.earlier.pop());
  }

  // Everything flows one way, in place of what flowed before.
  flood(degrees, speed) {
    const lines = cover(degrees, this.ratio).map((points) => ({kind: 'flows', points, width: WIDTH.most, speed}));
    return this.change([...lines, ...this.marks.filter(({kind}) => kind === 'stays')]);
  }

  // The mark at a point; null where there is none.
  find(point) {
    const near = this.marks.map((mark) => distance(point, mark, this.ratio) / Math.max(mark.width / 2, REACH));
    const nearest = Math.min(...near);
    return nearest <= 1 ? this.marks[near.indexOf(nearest)] : null;
  }
}
