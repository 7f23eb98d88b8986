// The settings: values that follow every input, a reset for each, a die for the seed.

import {findFields} from './radios.js';
import {offerWishes} from './wishes.js';
import {put, putPlain, putRefusal} from './words.js';

const SEEDS = 2 ** 32;
// settings that are places on the photo
const OF_PHOTO = ['focus', 'flow'];

export class Settings {
  constructor(fieldset, onChange) {
    this.fieldset = fieldset;
    this.onChange = onChange;
    this.bind();
  }

  bind() {
    const {fieldset} = this;
    this.fields = findFields(fieldset);
    this.seed = this.fields.find(({name}) => name === 'seed');
    this.flow = this.fields.find(({name}) => name === 'flow');
    offerWishes(fieldset, (field, text) => this.set(field, text), (field) => this.showError(field, null, 'wishes_full'));
    for (const field of this.fields) {
      field.addEventListener('input', () => this.follow(field));
      reset(field).addEventListener('click', () => {
        this.set(field, usual(field));
        // what the label names: of a field that is not seen, the button beside it
        (document.getElementById(`${field.name}-name`).control ?? field).focus();
      });
      show(field);
    }
    fieldset.querySelector('#die')?.addEventListener('click', () => this.set(this.seed, draw()));
  }

  // Another engine understands other settings; what was set stays. `fieldset` is of the new page.
  renew(fieldset) {
    if (offers(fieldset) === offers(this.fieldset)) {
      this.fieldset.querySelector('#warnings').replaceWith(fieldset.querySelector('#warnings'));
      return;
    }
    const kept = this.values();
    const focused = this.fieldset.contains(document.activeElement) ? document.activeElement.id : '';
    fieldset.querySelector('#more')?.toggleAttribute('open', Boolean(this.fieldset.querySelector('#more[open]')));
    this.fieldset.replaceChildren(...fieldset.childNodes);
    this.bind();
    for (const field of this.fields.filter(({name}) => name in kept)) {
      field.value = kept[field.name];
      // not every engine offers the same
      if (field.selectedIndex < 0) field.value = usual(field);
      show(field);
    }
    if (focused) document.getElementById(focused)?.focus({preventScroll: true});
  }

  set(field, value) {
    field.value = value;
    this.follow(field);
  }

  follow(field) {
    show(field);
    this.showError(field);
    this.onChange();
  }

  // `other` is a clip that is not on the table: what is set on the photo there is not meant for it.
  values(other = null) {
    const valueOf = ({name, value}) => other && OF_PHOTO.includes(name) ? other.places[name] : value;
    const values = this.fields.map((field) => [field.name, valueOf(field)]);
    return Object.fromEntries(values.filter(([, value]) => value));
  }

  // Another photo is on the table.
  showPlaces(places) {
    for (const field of this.fields.filter(({name}) => OF_PHOTO.includes(name))) {
      field.value = places[field.name] ?? '';
      show(field);
    }
  }

  // Of a clip that has not been sent yet, what is set on its photo.
  recall({places, job}) {
    if (job) this.fill(job.parameters);
    else this.showPlaces(places);
  }

  // As they were for an earlier clip; its seed is shown beside the clip and is not taken over unasked.
  fill(parameters) {
    for (const field of this.fields) {
      field.value = field === this.seed ? '' : parameters[field.name] ?? usual(field);
      // a length that is none of those offered
      if (field.selectedIndex < 0) field.value = usual(field);
      this.showError(field);
      show(field);
    }
  }

  // Says under a field what the server finds wrong with it, or the page; without either, that nothing is.
  showError(field, refusal = null, key = '') {
    const place = this.fieldset.querySelector(`#${field.name}-error`);
    if (!place) return;
    field.setAttribute('aria-invalid', String(Boolean(refusal || key)));
    if (key) put(place, key, {minimum: field.min, maximum: field.max});
    else if (refusal) putRefusal(place, refusal);
    else putPlain(place);
    if (!refusal && !key) return;
    // what is wrong is seen, wherever it is
    field.closest('details')?.setAttribute('open', '');
    field.focus();
    place.scrollIntoView({block: 'center'});
  }

  isValid() {
    const wrong = this.fields.find((field) => !field.validity.valid);
    if (wrong) this.showError(wrong, null, 'seed_range');
    return !wrong;
  }

  // Changes the seed, which makes no other settings of them; gives the one before.
  replaceSeed(value) {
    if (!this.seed) return '';
    const before = this.seed.value;
    this.seed.value = value;
    this.showError(this.seed);
    show(this.seed);
    return before;
  }

  keepSeed(seed) {
    if (this.seed) this.set(this.seed, seed);
  }

  // The field of a name, if what is wrong with it can be said beside it.
  find(name) {
    return name && this.fields.find((field) => field.name === name && this.fieldset.querySelector(`#${name}-error`));
  }
}

function offers(fieldset) {
  const fields = findFields(fieldset);
  return fields.flatMap(({name, options = []}) => [name, ...Array.from(options, ({value}) => value)]).join();
}

function usual(field) {
  return field.defaultValue ?? field.querySelector('[selected]').value;
}

function reset(field) {
  return document.getElementById(`${field.name}-reset`);
}

function show(field) {
  const {value, min, max} = field;
  reset(field).hidden = value === usual(field) && !field.validity.badInput;
  field.dispatchEvent(new Event('shown', {bubbles: true}));
  if (field.type !== 'range') return;
  field.style.setProperty('--filled', `${100 * (value - min) / (max - min)}%`);
  field.closest('.setting').querySelector('output').textContent = value;
}

function draw() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % SEEDS;
}
