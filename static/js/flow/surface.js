// Where is drawn: pointers of every kind become lines on the photo; two fingers, the wheel and buttons come nearer.

const NEAREST = 8;
const STEP = 1.5;

export class Surface {
  // `view` is the window onto `sheet`, which lies in it and shows the photo. `acts` has begin, draw, end and cancel, each
  // given points in parts of the photo, zoom, and width, that of the brush in parts of the photo's longer side.
  constructor(view, sheet, acts) {
    Object.assign(this, {view, sheet, acts, pointers: new Map(), drawing: null});
    view.addEventListener('pointerdown', (event) => this.press(event));
    view.addEventListener('pointermove', (event) => this.follow(event));
    view.addEventListener('pointerup', (event) => this.lift(event));
    view.addEventListener('pointercancel', (event) => this.lift(event, true));
    view.addEventListener('wheel', (event) => this.roll(event), {passive: false});
    view.addEventListener('contextmenu', (event) => event.preventDefault());
    this.fit();
  }

  // The whole photo.
  fit() {
    Object.assign(this, {scale: 1, x: 0, y: 0});
    this.show();
  }

  // ---- pointers ----

  press(event) {
    if (event.target.closest('button')) return;
    // a hand that rests beside the pen
    if (event.pointerType === 'touch' && this.drawing?.type === 'pen') return;
    this.view.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, {x: event.clientX, y: event.clientY, isPan: event.button === 1});
    if (this.pointers.size > 1) this.stop(true);
    else if (event.button === 0 && this.isNear(event)) {
      this.drawing = {id: event.pointerId, type: event.pointerType};
      this.acts.begin(this.find(event));
    }
  }

  // Whether the brush touches the photo there.
  isNear({clientX, clientY}) {
    const {left, top, right, bottom, width, height} = this.sheet.getBoundingClientRect();
    const reach = this.acts.width * Math.max(width, height);
    return Math.max(left - clientX, clientX - right, top - clientY, clientY - bottom) <= reach;
  }

  follow(event) {
    this.acts.hover(this.find(event), event);
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) return;
    if (this.drawing?.id === event.pointerId) {
      const events = event.getCoalescedEvents?.() ?? [];
      this.acts.draw((events.length ? events : [event]).map((one) => this.find(one)));
    } else if (this.pointers.size === 2) this.pinch(pointer, event);
    else if (pointer.isPan) this.move(event.clientX - pointer.x, event.clientY - pointer.y);
    Object.assign(pointer, {x: event.clientX, y: event.clientY});
  }

  lift(event, isCancelled = false) {
    this.pointers.delete(event.pointerId);
    if (this.drawing?.id === event.pointerId) this.stop(isCancelled);
  }

  // Whatever is pressed just now draws no more.
  release() {
    this.pointers.clear();
    this.stop(true);
  }

  stop(isCancelled) {
    if (!this.drawing) return;
    this.drawing = null;
    if (isCancelled) this.acts.cancel();
    else this.acts.end();
  }

  // A point in parts of the photo, whatever is seen of it.
  find({clientX, clientY}) {
    const {left, top, width, height} = this.sheet.getBoundingClientRect();
    return [inside((clientX - left) / width), inside((clientY - top) / height)];
  }

  // ---- nearer ----

  // `pointer` is where one of two fingers was, `event` where it is now.
  pinch(pointer, event) {
    const other = [...this.pointers.values()].find((one) => one !== pointer);
    const reach = (x, y) => Math.max(1, Math.hypot(x - other.x, y - other.y));
    const factor = reach(event.clientX, event.clientY) / reach(pointer.x, pointer.y);
    const [x, y] = [(event.clientX - pointer.x) / 2, (event.clientY - pointer.y) / 2];
    this.zoom(factor, (pointer.x + other.x) / 2, (pointer.y + other.y) / 2, x, y);
  }

  roll(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    // a touchpad's pinch comes as a wheel with this key
    if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(-event.deltaY * lines / 100), event.clientX, event.clientY);
    else this.move(-event.deltaX * lines, -event.deltaY * lines);
  }

  step(isNearer) {
    const {left, top, width, height} = this.view.getBoundingClientRect();
    this.zoom(isNearer ? STEP : 1 / STEP, left + width / 2, top + height / 2);
  }

  // What is at the given place of the window stays there, but for a move by `x` and `y`.
  zoom(factor, clientX, clientY, x = 0, y = 0) {
    const {left, top} = this.sheet.getBoundingClientRect();
    const scale = Math.min(NEAREST, Math.max(1, this.scale * factor));
    const change = 1 - scale / this.scale;
    this.scale = scale;
    this.move((clientX - left) * change + x, (clientY - top) * change + y);
  }

  move(x, y) {
    this.x += x;
    this.y += y;
    this.show();
  }

  // The photo fills the window, or lies in its middle.
  show() {
    const {view, sheet, scale} = this;
    const limit = (size, room, start, at) => {
      const spare = room - size * scale;
      return spare >= 0 ? spare / 2 - start : Math.min(-start, Math.max(spare - start, at));
    };
    this.x = limit(sheet.offsetWidth, view.clientWidth, sheet.offsetLeft, this.x);
    this.y = limit(sheet.offsetHeight, view.clientHeight, sheet.offsetTop, this.y);
    sheet.style.transform = `translate(${this.x}px, ${this.y}px) scale(${scale})`;
    this.acts.zoom(scale);
  }
}

function inside(part) {
  return Math.min(1, Math.max(0, part));
}
