// A chosen file → a picture that can be shown upright.

import {upright} from './api.js';

// Where the browser cannot decode the file (HEIC, TIFF …), the server shows it; what that cannot read either it
// refuses, in words. Whoever opens a photo closes it.
export async function open(file, signal) {
  const shown = await decode(file) ?? await decode(await upright(file, signal));
  if (!shown) throw new TypeError('undecodable');
  return {...shown, file, isOpen: true};
}

export function close(photo) {
  if (!photo) return;
  photo.isOpen = false;
  URL.revokeObjectURL(photo.url);
}

async function decode(blob) {
  const url = URL.createObjectURL(blob);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
    if (image.naturalWidth) return {url, width: image.naturalWidth, height: image.naturalHeight};
  } catch {
    // not for this browser
  }
  URL.revokeObjectURL(url);
  return null;
}

// Begins like a picture: JPEG, PNG, GIF, BMP, WebP, TIFF and most raw files, HEIF and its like, Fujifilm's raw files.
// What does not may be one all the same; the server knows.
const BEGINNING = /^(?:\xff\xd8|\x89PNG|GIF8|BM|RIFF....WEBP|II|MM|....ftyp|FUJIFILM)/s;

export async function looksLikePhoto(file) {
  const head = await file.slice(0, 16).arrayBuffer().catch(() => null);
  // one that cannot be read is explained later
  return !head || BEGINNING.test(String.fromCharCode(...new Uint8Array(head)));
}

// Whether the file still is what it was when it was chosen.
export async function isReadable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}
