// The page of one clip.

import * as api from './api.js';
import {Downloads} from './downloads.js';
import {MainAction} from './main-action.js';
import {close, openMoving, prefersStillness} from './moving.js';
import {setWords} from './words.js';

const read = (id, page = document) => JSON.parse(page.getElementById(id).textContent);

setWords(read('words'));

const video = document.getElementById('clip');
const action = new MainAction(document.getElementById('main-action'));
const downloads = new Downloads(document.getElementById('downloads'), {
  refresh: async () => show(read('found', await api.page(location.href))),
});
const clip = read('found');

function show(now) {
  action.show(now);
  downloads.show(now);
}

show(clip);
if (video.readyState) fitVideo();
else video.addEventListener('loadedmetadata', fitVideo);
video.addEventListener('error', showPicture);
if (video.error) showPicture();
else if (!prefersStillness()) video.play().catch(() => {});

function fitVideo() {
  setRatio(video, video.videoWidth / video.videoHeight);
}

// From it the element's size follows.
function setRatio(element, ratio) {
  element.style.setProperty('--ratio', ratio);
}

// Where the browser cannot play the video.
async function showPicture() {
  const {element, width, height} = await openMoving(clip.results.filter(({format}) => format !== 'mp4'));
  element.className = video.className;
  setRatio(element, width / height);
  element.alt = video.getAttribute('aria-label');
  close(video);
  video.replaceWith(element);
}
