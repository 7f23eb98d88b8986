// A chosen file → a picture that can be shown upright.

import {upright} from './api.js';

// Where the browser cannot decode the file (HEIC, TIFF …), the server shows it; what that cannot read either it
// refuses, in words. The caller revokes the url.
export async function open(file, signal) {
  const own = await decode(file);
  return own ?? await decode(await upright(file, signal)) ?? Promise.reject(new TypeError('undecodable'));
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

// Whether the file still is what it was when it was chosen.
export async function isReadable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}
