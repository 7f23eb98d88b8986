// A clip as an element that moves: a video, or an animated picture where the browser cannot play the video.

const SOURCES = ['mp4', 'webp', 'gif'];

export const prefersStillness = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

// Resolves with the first that can be shown, with its size; rejects where none can be had.
export async function openMoving(results, poster) {
  for (const source of SOURCES) {
    const result = results.find(({format}) => format === source);
    try {
      if (result) return source === 'mp4' ? await openVideo(result.url, poster) : await openPicture(result.url);
    } catch {
      // the next will do
    }
  }
  throw new TypeError('unplayable');
}

function openVideo(url, poster = '') {
  const video = document.createElement('video');
  Object.assign(video, {muted: true, loop: true, playsInline: true, preload: 'auto', poster, src: url});
  // what is set by script alone is no attribute, and iPhones look at attributes
  for (const name of ['muted', 'playsinline']) video.setAttribute(name, '');
  return new Promise((resolve, reject) => {
    const finish = () => resolve({element: video, width: video.videoWidth, height: video.videoHeight});
    video.addEventListener('loadeddata', finish);
    // iPhones fetch no more than the head of a video that does not play yet
    video.addEventListener('suspend', () => video.readyState && finish());
    video.addEventListener('error', () => {
      close(video);
      reject(video.error ?? new TypeError('unplayable'));
    });
    video.load();
  });
}

async function openPicture(url) {
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  return {element: picture, width: picture.naturalWidth, height: picture.naturalHeight};
}

// Ends what is still being fetched.
export function close(element) {
  if (!element.hasAttribute('src')) return;
  element.removeAttribute('src');
  if (element instanceof HTMLVideoElement) element.load();
}
