// All that the page can do without while it is empty: what becomes of photos, the engine's card, the loop.

import {Clips} from './clips.js';
import {Engine} from './engine.js';
import {Loop} from './loop.js';
import {Studio} from './studio.js';

// Gives {studio, engine}.
export function begin(form) {
  const studio = new Studio(form, new Clips());
  studio.begin();
  form.addEventListener('mousedown', (event) => {
    // two quick presses of what can be pressed mean no words
    if (event.detail > 1 && event.target.closest('.stage, .actions, .before')) event.preventDefault();
  });
  const engine = new Engine(
    document.getElementById('engine'),
    document.getElementById('status'),
    (page) => studio.settings.renew(page.getElementById('settings')),
  );
  new Loop(form, document.getElementById('show-loop'));
  return {studio, engine};
}
