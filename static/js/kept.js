// Photos that are chosen and not sent yet, and what is set on them, kept by the browser for this tab, so that a reload
// finds them again. Where storage is blocked, nothing is kept, and all else works.

import {places, setKept, setPlaces, tabId} from './memory.js';

const DATABASE = 'turn-live-photos';
const TABS = 'tabs';
const DAY = 86400000;

export class KeptPhotos {
  constructor() {
    this.files = [];
    // whether anything is set on photos now
    this.isPlaced = false;
    // what was before a reload: [name, places]; the same photo may be there twice
    this.earlier = places();
    this.writing = Promise.resolve();
  }

  // Clips of photos that are not sent yet.
  keep(clips) {
    const files = clips.map(({file}) => file);
    const isPlaced = clips.some((clip) => Object.values(clip.places).some(Boolean));
    if (isPlaced || this.isPlaced) setPlaces(isPlaced ? clips.map((clip) => [nameOf(clip.file), clip.places]) : []);
    this.isPlaced = isPlaced;
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

  // What was set on a photo before a reload, once.
  takePlaces(file) {
    const place = this.earlier.findIndex(([name]) => name === nameOf(file));
    return place < 0 ? {} : this.earlier.splice(place, 1)[0][1];
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
