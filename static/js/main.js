// Wires the empty page together: choosing a photo and switching the language. What a photo needs is fetched meanwhile.

import * as api from './api.js';
import {offerExamples} from './examples.js';
import {listen} from './picker.js';
import {language, setWords, translatePage} from './words.js';

const OTHER = {en: ['zh', '中文'], zh: ['en', 'English']};
const YEAR = 365 * 86400;

setWords(JSON.parse(document.getElementById('words').textContent));

const form = document.getElementById('studio');
const link = document.getElementById('language');
const later = document.getElementById('later').content;
const sheets = [...later.querySelectorAll('[rel="stylesheet"]')].map((sheet) => new Promise((resolve) => {
  for (const name of ['load', 'error']) sheet.addEventListener(name, resolve);
}));
document.head.append(later);
// {studio, engine}
const rest = Promise.all([import('./rest.js'), ...sheets]).then(([{begin}]) => begin(form));
// the plain form does without
rest.catch(() => { delete form.dataset.state; });

const take = async (files) => (await rest).studio.take(files);
listen(form, document.getElementById('file'), take);
offerExamples(
  document.getElementById('examples'),
  take,
  async () => (await rest).studio.view.notice.show('wrong', 'unreachable'),
);
form.dataset.live = '';

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
  const {engine, studio} = await rest;
  await Promise.all([engine.renew(), studio.translate()]);
});

function offer([name, words]) {
  link.lang = name;
  link.hreflang = name;
  link.href = `?lang=${name}`;
  link.textContent = words;
}

// an address that names a language would win over the next switch
if (new URLSearchParams(location.search).has('lang')) history.replaceState(null, '', location.pathname);
