// How far the libraries or the model are: a bar, bytes, speed, time left, and what is coming just now.

import {size} from './sizes.js';
import {put, say} from './words.js';

// a model's folder → what its part does
const PARTS = {
  unet: 'unet',
  transformer: 'unet',
  transformer_2: 'unet',
  vae: 'vae',
  image_encoder: 'image_encoder',
  text_encoder: 'text_encoder',
};

// `place` is the block in the card, `state` what the server says of the download.
export function showArrival(place, state) {
  const bar = place.querySelector('.progress');
  const [amount, current, elsewhere] = place.querySelectorAll('p');
  const part = state.bytes_total ? state.bytes_done / state.bytes_total : 0;
  bar.style.setProperty('--part', part);
  if (part) bar.setAttribute('aria-valuenow', Math.floor(100 * part));
  else bar.removeAttribute('aria-valuenow');
  amount.textContent = state.bytes_total ? amounts(state) : '';
  put(current, ...now(place.dataset.what, state));
  if (state.error) put(elsewhere, 'elsewhere', {error: state.error});
}

function amounts({bytes_done: done, bytes_total: total, bytes_per_second: speed, eta_seconds: seconds}) {
  const parts = [say('arrived', {done: size(done), total: size(total)})];
  if (speed) parts.push(`${size(speed)}/s`);
  if (seconds !== null) parts.push(say('time_left', {time: span(seconds)}));
  return parts.join(' · ');
}

function now(what, {file, source, bytes_total: total}) {
  if (what === 'libraries') return file ? ['library_now', {name: library(file)}] : ['installing'];
  if (!file || !total) return ['asking'];
  if (file.endsWith('.onnx')) return ['file_now', {part: ['part_depth'], host: source}];
  const part = file.endsWith('.safetensors') ? PARTS[file.split('/')[0]] ?? 'file' : 'other';
  return ['file_now', {part: [`part_${part}`], host: source}];
}

// torch-2.13.0-cp311-none-any.whl → torch 2.13.0
function library(file) {
  return file.replace(/^([^-]+)-([^-]+)-.*\.whl$/, '$1 $2');
}

function span(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return ['hours', {hours: Math.floor(minutes / 60), minutes: minutes % 60}];
  return minutes ? ['minutes', {minutes, seconds: seconds % 60}] : ['whole_seconds', {seconds}];
}
