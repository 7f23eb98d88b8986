// What this browser remembers: its own clips, newest first, and which of them is on the table in this tab. Where
// storage is blocked, as in another site's frame, nothing is remembered, and all else works.

const CLIPS = `turn-live-photos:${location.pathname}`;
const TABLE = `${CLIPS}:table`;
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

export function remember(clip) {
  write([clip, ...recall().filter(({id}) => id !== clip.id)].slice(0, MOST));
}

export function forget(id) {
  write(recall().filter((clip) => clip.id !== id));
}

function write(clips) {
  try {
    localStorage.setItem(CLIPS, JSON.stringify(clips));
  } catch {
    // then it is not remembered
  }
}

export function tabled() {
  try {
    return sessionStorage.getItem(TABLE);
  } catch {
    return null;
  }
}

export function table(id) {
  try {
    if (id) sessionStorage.setItem(TABLE, id);
    else sessionStorage.removeItem(TABLE);
  } catch {
    // then it is not remembered
  }
}
