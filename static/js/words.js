// Words in the reader's language. An element names its sentence in data-words and the values in data-values, so that a
// switch of the language can translate the whole page.

const ATTRIBUTES = ['aria-label', 'placeholder', 'alt'];

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

// The same refusal in another language; the values are read out of the sentence. `from` and `to` map codes to words.
export function translateRefusal(code, message, from, to) {
  if (!from[code] || !to[code]) return message;
  const names = [...from[code].matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const form = from[code].split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('(.+)');
  const values = new RegExp(`^${form}$`, 's').exec(message)?.slice(1);
  if (!values) return message;
  return to[code].replace(/\{(\w+)\}/g, (_whole, name) => values[names.indexOf(name)]);
}

// `from` and `to` are what the server says of refusals, in the language before and now.
export function translatePage(from, to) {
  for (const element of document.querySelectorAll('[data-refusal]')) {
    element.textContent = translateRefusal(element.dataset.refusal, element.textContent, from, to);
  }
  for (const element of document.querySelectorAll('[data-words]')) {
    put(element, element.dataset.words, valuesOf(element));
  }
  for (const name of ATTRIBUTES) {
    for (const element of document.querySelectorAll(`[data-words-${name}]`)) {
      element.setAttribute(name, say(element.getAttribute(`data-words-${name}`), valuesOf(element)));
    }
  }
}

function valuesOf(element) {
  return JSON.parse(element.dataset.values ?? '{}');
}
