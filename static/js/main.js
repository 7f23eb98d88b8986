// Wires the page together.

import * as api from './api.js';
import {Engine} from './engine.js';
import {offerExamples} from './examples.js';
import {Loop} from './loop.js';
import {listen} from './picker.js';
import {Clips} from './clips.js';
import {Studio} from './studio.js';
import {language, setWords, translatePage} from './words.js';

const OTHER = {en: ['zh', '中文'], zh: ['en', 'English']};
const YEAR = 365 * 86400;

setWords(JSON.parse(document.getElementById('words').textContent));

const form = document.getElementById('studio');
const link = document.getElementById('language');
const studio = new Studio(form, new Clips());

studio.begin();
form.addEventListener('mousedown', (event) => {
  // two quick presses of what can be pressed mean no words
  if (event.detail > 1 && event.target.closest('.stage, .actions, .before')) event.preventDefault();
});
form.dataset.live = '';
listen(form, document.getElementById('file'), (files) => studio.take(files));
offerExamples(
  document.getElementById('examples'),
  (files) => studio.take(files),
  () => studio.view.notice.show('wrong', 'unreachable'),
);
new Loop(form, document.getElementById('show-loop'));
const engine = new Engine(
  document.getElementById('engine'),
  document.getElementById('status'),
  (page) => studio.settings.renew(page.getElementById('settings')),
);

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
