// Wires the empty page together: choosing a photo and switching the language. What a photo needs is fetched meanwhile.

import * as api from './api.js';
import {offerExamples} from './examples.js';
import {listen} from './picker.js';
import {language, put, setWords, translatePage} from './words.js';

const OTHER = {en: ['zh', '中文'], zh: ['en', 'English']};
const YEAR = 365 * 86400;

setWords(JSON.parse(document.getElementById('words').textContent));

const form = document.getElementById('studio');
const field = document.getElementById('file');
const notice = document.getElementById('notice');
const link = document.getElementById('language');
const later = document.getElementById('later').content;
const sheets = [...later.querySelectorAll('[rel="stylesheet"]')].map((sheet) => new Promise((resolve) => {
  for (const name of ['load', 'error']) sheet.addEventListener(name, resolve);
}));
document.head.append(later);
// {studio, engine}; nothing where something did not come
const rest = Promise.all([import('./rest.js'), ...sheets]).then(([{begin}]) => begin(form)).catch(usePlainForm);

form.dataset.live = '';
listen(form, field, take);
offerExamples(
  document.getElementById('examples'),
  take,
  async () => (await rest)?.studio.view.notice.show('wrong', 'unreachable'),
);

// On a slow line the rest may take its time.
async function take(files) {
  notice.dataset.kind = 'info';
  notice.replaceChildren(document.createElement('p'));
  put(notice.firstChild, 'opening');
  const begun = await rest;
  notice.replaceChildren();
  if (begun) return begun.studio.take(files);
  const chosen = new DataTransfer();
  chosen.items.add(files[0]);
  field.files = chosen.files;
}

function usePlainForm(error) {
  delete form.dataset.state;
  delete form.dataset.live;
  field.multiple = false;
  form.noValidate = false;
  // what had begun before something failed must not keep the form from being sent
  addEventListener('submit', (event) => event.stopImmediatePropagation(), {capture: true});
  reportError(error);
}

// The switch keeps the photo on the table; without JavaScript it is a plain link.
link.addEventListener('click', async (event) => {
  event.preventDefault();
  const [next] = OTHER[language()];
  let before;
  let now;
  try {
    [before, now] = await Promise.all([language(), next].map(api.words));
  } catch {
    location.assign(link.href);
    return;
  }
  setWords(now.page);
  document.cookie = `lang=${next}; path=/; max-age=${YEAR}; samesite=lax`;
  document.documentElement.lang = next === 'zh' ? 'zh-Hans' : 'en';
  offer(OTHER[next]);
  translatePage(before, now);
  // what the server says is in its own words
  const begun = await rest;
  if (begun) await Promise.all([begun.engine.renew(), begun.studio.translate()]);
});

function offer([name, words]) {
  link.lang = name;
  link.hreflang = name;
  link.href = `?lang=${name}`;
  link.textContent = words;
}

// an address that names a language would win over the next switch
if (new URLSearchParams(location.search).has('lang')) history.replaceState(null, '', location.pathname);
