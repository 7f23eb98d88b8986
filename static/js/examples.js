// Photos of the page's own, to try with one press.

import * as api from './api.js';
import {say} from './words.js';

// `take` is given the photo as a list of files, `fail` what has gone wrong.
export function offerExamples(section, take, fail) {
  section.addEventListener('click', async ({target}) => {
    const button = target.closest('button');
    if (!button || section.querySelector('[aria-busy="true"]')) return;
    button.setAttribute('aria-busy', 'true');
    const {name, photo} = button.dataset;
    try {
      await take([await api.example(photo, `${say(name)}.webp`)]);
    } catch (error) {
      fail(error);
    } finally {
      button.removeAttribute('aria-busy');
    }
  });
}
