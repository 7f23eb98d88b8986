// Everything that is asked of the server; no other file calls fetch.

// The server said no: its words, its code, and when trying again makes sense.
export class Refusal extends Error {
  constructor(answer, status, retryAfter) {
    super(answer.message);
    this.code = answer.code;
    this.field = answer.field;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

// The server said nothing.
export class Unreachable extends Error {}

async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Unreachable(error.message);
  }
  if (response.ok) return response;
  // a proxy in between answers in its own way
  const answer = await response.json().catch(() => ({}));
  throw new Refusal(answer, response.status, secondsUntil(response.headers.get('Retry-After')));
}

// Retry-After is a number of seconds or a date.
function secondsUntil(header) {
  if (!header) return 0;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Math.max(0, Math.ceil(seconds || 0));
}

async function read(response) {
  try {
    return await response.blob();
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Unreachable(error.message);
  }
}

// A clip of a photo. What comes back has the same shape as a job: seed, engine, results.
export async function generate(file, values, signal) {
  const body = new FormData();
  body.append('file', file, file.name);
  for (const [name, value] of Object.entries(values)) body.append(name, value);
  const response = await ask('generate', {method: 'POST', body, signal});
  const blob = await read(response);
  return {
    seed: response.headers.get('X-Seed'),
    engine: response.headers.get('X-Engine'),
    results: [{format: 'gif', name: `${stem(file.name)}.gif`, bytes: blob.size, blob}],
  };
}

// The upright picture of a photo that the browser cannot show itself.
export async function upright(file, signal) {
  const body = new FormData();
  body.append('file', file, file.name);
  return read(await ask('upright', {method: 'POST', body, signal}));
}

// The page as the server would show it now, in the language switched to.
export async function page() {
  const html = await (await ask('./', {cache: 'no-store'})).text();
  return new DOMParser().parseFromString(html, 'text/html');
}

// Begins to fetch the model on the server, or goes on with it.
export async function fetchModel() {
  await ask('model/download', {method: 'POST'});
}

// {status, engine, engines, warnings, waiting, libraries, download}; also while the server cannot do any job
export async function health() {
  const response = await fetch('health').catch(() => null);
  return response?.json().catch(() => null) ?? null;
}

export async function words(language) {
  const locale = await (await ask(`static/locales/${language}.json`)).json();
  return locale.page;
}

function stem(name) {
  return name.replace(/\.[^.]*$/, '') || 'photo';
}
