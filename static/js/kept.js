// Photos that are chosen and not sent yet, and what is drawn on them, kept by the browser for this tab, so that a reload
// finds them again. Where storage is blocked, nothing is kept, and all else works.

import {drawings, setDrawings, setKept, tabId} from './memory.js';

const DATABASE = 'turn-live-photos';
const TABS = 'tabs';
const DAY = 86400000;

export class KeptPhotos {
  constructor() {
    this.files = [];
    // what is drawn now, and what was drawn before a reload
    this.drawn = new Map();
    this.earlier = new Map(drawings());
    this.writing = Promise.resolve();
  }

  // Clips of photos that are not sent yet.
  keep(clips) {
    const files = clips.map(({file}) => file);
    const drawn = clips.filter(({flow}) => flow).map(({file, flow}) => [nameOf(file), flow]);
    if (drawn.length || this.drawn.size) setDrawings(drawn);
    this.drawn = new Map(drawn);
    const ratio = clips[0]?.ratio ?? 1.6;
    if (files.length === this.files.length && files.every((file, place) => file === this.files[place])) return;
    this.files = files;
    this.writing = this.writing.then(async () => {
      if (files !== this.files) return;
      await write(files);
      setKept(files.length ? ratio : 0);
    }).catch(() => {});
  }

  // Files of this tab; other tabs' go when they are a day old.
  async find() {
    try {
      const files = (await read())?.files ?? [];
      if (!this.files.length) this.files = files;
      return files;
    } catch {
      return [];
    }
  }

  // What was drawn on a photo before a reload, once.
  takeDrawing(file) {
    const drawn = this.earlier.get(nameOf(file)) ?? '';
    this.earlier.delete(nameOf(file));
    return drawn;
  }
}

// One is told from another by it.
function nameOf({name, size, lastModified}) {
  return `${name} ${size} ${lastModified}`;
}

async function write(files) {
  const store = await open('readwrite');
  await done(files.length ? store.put({files, since: Date.now()}, tabId()) : store.delete(tabId()));
}

async function read() {
  const store = await open('readwrite');
  store.openCursor().addEventListener('success', ({target: {result: cursor}}) => {
    if (!cursor) return;
    if (cursor.value.since < Date.now() - DAY) cursor.delete();
    cursor.continue();
  });
  return done(store.get(tabId()));
}

async function open(mode) {
  const opening = indexedDB.open(DATABASE, 1);
  opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(TABS));
  return (await done(opening)).transaction(TABS, mode).objectStore(TABS);
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error));
  });
}
