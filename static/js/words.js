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
  element.textContent = words;
}

export function translatePage() {
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
