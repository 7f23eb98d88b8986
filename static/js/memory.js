// What this browser remembers: its own clips, newest first, and which of them is on the table in this tab. Where
// storage is blocked, as in another site's frame, nothing is remembered, and all else works.

const CLIPS = `turn-live-photos:${location.pathname}`;
const CURRENT = `${CLIPS}:table`;
const PHOTO = `${CLIPS}:photo`;
const PLACES = `${CLIPS}:places`;
const TAB = `${CLIPS}:tab`;
const LEARNED = `${CLIPS}:learned`;
const MOST = 50;

// [{id, name, created, ratio}]
export function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(CLIPS)) ?? [];
    return Array.isArray(kept) ? kept.filter(({id}) => /^[0-9a-f]{32}$/.test(id)) : [];
  } catch {
    return [];
  }
}

export function remember(entry) {
  write([entry, ...recall().filter(({id}) => id !== entry.id)].slice(0, MOST));
}

export function forget(id) {
  write(recall().filter((entry) => entry.id !== id));
}

// Hears what other tabs remember and forget.
export function watch(onChange) {
  window.addEventListener('storage', ({key}) => {
    if (key === CLIPS || key === null) onChange(recall());
  });
}

function write(entries) {
  try {
    localStorage.setItem(CLIPS, JSON.stringify(entries));
  } catch {
    // then it is not remembered
  }
}

export function currentId() {
  try {
    return sessionStorage.getItem(CURRENT);
  } catch {
    return null;
  }
}

export function setCurrentId(id) {
  try {
    if (id) sessionStorage.setItem(CURRENT, id);
    else sessionStorage.removeItem(CURRENT);
  } catch {
    // then it is not remembered
  }
}

// The shape of a photo that is kept unsent; 0 where there is none. js/first/state.js reads it.
export function setKept(ratio) {
  if (ratio) sessionStorage.setItem(PHOTO, ratio);
  else sessionStorage.removeItem(PHOTO);
}

// What is set on photos that are kept unsent: [name of the photo, {focus, flow}].
export function places() {
  try {
    return JSON.parse(sessionStorage.getItem(PLACES)) ?? [];
  } catch {
    return [];
  }
}

export function setPlaces(list) {
  try {
    sessionStorage.setItem(PLACES, JSON.stringify(list));
  } catch {
    // then they are not kept
  }
}

// A name of this tab, the same after a reload.
export function tabId() {
  const id = sessionStorage.getItem(TAB) ?? crypto.getRandomValues(new Uint32Array(2)).join('-');
  sessionStorage.setItem(TAB, id);
  return id;
}

// Hints that are shown once; where nothing is remembered, not at all.
export function hasLearned(hint) {
  try {
    return JSON.parse(localStorage.getItem(LEARNED) ?? '[]').includes(hint);
  } catch {
    return true;
  }
}

export function learn(hint) {
  if (hasLearned(hint)) return;
  try {
    localStorage.setItem(LEARNED, JSON.stringify([...JSON.parse(localStorage.getItem(LEARNED) ?? '[]'), hint]));
  } catch {
    // then it is shown again
  }
}
