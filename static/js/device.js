// Which device this is, as far as it matters for the file that is taken along.

const {userAgent, maxTouchPoints} = navigator;

// an iPad says it is a Mac
const isApple = /iPhone|iPad|iPod/.test(userAgent) || /Macintosh/.test(userAgent) && maxTouchPoints > 1;
const isAndroid = /Android/.test(userAgent);

export function isPhone() {
  return isApple || isAndroid;
}

export function deviceFormat() {
  if (isApple) return 'live-photo';
  return isAndroid ? 'motion-photo' : 'mp4';
}
