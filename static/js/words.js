// Words in the reader's language. An element names its sentence in data-words and the values in data-values, so that a
// switch of the language can translate the whole page.

const ATTRIBUTES = ['aria-label', 'placeholder', 'alt'];

// of a value in a sentence of the server, with the form of a number
const PLACE = /\{(\w+)(?::\w+)?\}/g;

let dictionary = {};

export function setWords(words) {
  dictionary = words;
}

export function language() {
  return document.documentElement.lang.startsWith('zh') ? 'zh' : 'en';
}

// A value that is an array is itself a sentence: [key, values].
export function say(key, values = {}) {
  return (dictionary[key] ?? key).replace(/\{(\w+)\}/g, (_whole, name) => {
    const value = values[name];
    return Array.isArray(value) ? say(...value) : value;
  });
}

export function put(element, key, values = {}) {
  delete element.dataset.refusal;
  element.dataset.words = key;
  element.dataset.values = JSON.stringify(values);
  const words = say(key, values);
  // a live region speaks again whenever it is written to
  if (element.textContent !== words) element.textContent = words;
}

export function putAttribute(element, name, key, values = {}) {
  element.setAttribute(`data-words-${name}`, key);
  element.dataset.values = JSON.stringify(values);
  element.setAttribute(name, say(key, values));
}

// Words that come from the server, or none at all.
export function putPlain(element, words = '') {
  delete element.dataset.words;
  delete element.dataset.values;
  delete element.dataset.refusal;
  element.textContent = words;
}

// What the server refuses in its own words; its code lets them be found in another language.
export function putRefusal(element, {code, message}) {
  putPlain(element, message);
  if (code) element.dataset.refusal = code;
}

// The same refusal in another language. `from` and `to` are all words of the languages.
export function translateRefusal(code, message, from, to) {
  return translate(message, from.errors[code], to.errors[code], pairReasons(from, to)) ?? message;
}

// What may stand inside a refusal: [before, now], those first that leave least open.
function pairReasons(from, to) {
  return ['engines', 'weights', 'flow']
    .flatMap((section) => Object.keys(from[section]).map((key) => [from[section][key], to[section][key]]))
    .sort(([one], [other]) => other.length - one.length);
}

// The values are read out of the sentence, and may be sentences themselves; nothing where it is another sentence.
function translate(sentence, before, now, reasons) {
  if (!before || !now) return null;
  const names = [...before.matchAll(PLACE)].map(([, name]) => name);
  const parts = before.replace(PLACE, '\0').split('\0').map(writeBraces);
  const form = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('(.+?)');
  const values = new RegExp(`^${form}$`, 's').exec(sentence)?.slice(1);
  return values && now.split(PLACE)
    .map((part, index) => index % 2 ? translateValue(values[names.indexOf(part)], reasons) : writeBraces(part)).join('');
}

function writeBraces(words) {
  return words.replaceAll('{{', '{').replaceAll('}}', '}');
}

function translateValue(value, reasons) {
  for (const [before, now] of reasons) {
    const found = translate(value, before, now, reasons);
    if (found) return found;
  }
  return value;
}

// `from` and `to` are all words, in the language before and now.
export function translatePage(from, to) {
  translateWithin(document, from, to);
  // what is made of a template later
  for (const {content} of document.querySelectorAll('template')) translateWithin(content, from, to);
}

function translateWithin(place, from, to) {
  for (const element of place.querySelectorAll('[data-refusal]')) {
    element.textContent = translateRefusal(element.dataset.refusal, element.textContent, from, to);
  }
  for (const element of place.querySelectorAll('[data-words]')) {
    put(element, element.dataset.words, valuesOf(element));
  }
  for (const name of ATTRIBUTES) {
    for (const element of place.querySelectorAll(`[data-words-${name}]`)) {
      element.setAttribute(name, say(element.getAttribute(`data-words-${name}`), valuesOf(element)));
    }
  }
}

function valuesOf(element) {
  return JSON.parse(element.dataset.values ?? '{}');
}
