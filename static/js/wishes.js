// Ready-made wishes above the field they are written into: each puts its text there or takes it out again, and shows
// whether it is there. What is there can be changed like anything that was typed.

import {language} from './words.js';

// what needs no space behind it
const FULL_STOP = /[。！？\s]$/;

// `write` takes the field and its new value, `refuse` the field where no more fits.
export function offerWishes(fieldset, write, refuse) {
  const list = fieldset.querySelector('.wishes');
  if (!list) return;
  const field = fieldset.querySelector(`#${list.dataset.of}`);
  const chips = [...list.querySelectorAll('button')];
  field.addEventListener('shown', () => {
    for (const chip of chips) chip.setAttribute('aria-pressed', String(Boolean(find(chip, field.value))));
  });
  list.addEventListener('click', ({target}) => {
    const chip = target.closest('button');
    if (!chip) return;
    const there = find(chip, field.value);
    const value = there ? remove(field.value, there) : add(field.value, textsOf(chip)[language()]);
    if (value.length > field.maxLength) refuse(field);
    else write(field, value);
  });
}

// language → text
function textsOf(chip) {
  return JSON.parse(chip.dataset.texts);
}

// In whichever language it was put there.
function find(chip, value) {
  return Object.values(textsOf(chip)).find((text) => value.includes(text));
}

function add(value, text) {
  const before = value.trim();
  return before && !FULL_STOP.test(before) ? `${before} ${text}` : before + text;
}

function remove(value, text) {
  const place = value.indexOf(text);
  return add(value.slice(0, place), value.slice(place + text.length).trim()).trim();
}
