// Everything that is asked of the server; no other file calls fetch, XMLHttpRequest or EventSource.

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

async function read(response, kind = 'blob') {
  try {
    return await response[kind]();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    // words that are no JSON come from something in between
    throw error instanceof SyntaxError ? new Refusal({}, response.status, 0) : new Unreachable(error.message);
  }
}

function form(file, values = {}) {
  const body = new FormData();
  body.append('file', file, file.name);
  for (const [name, value] of Object.entries(values)) body.append(name, value);
  return body;
}

// ---- jobs ----

// `onSent` is told how many bytes of how many have been sent; fetch tells nothing of the kind.
export function submit(file, values, {signal, onSent}) {
  const sending = new XMLHttpRequest();
  sending.open('POST', 'jobs');
  sending.upload.addEventListener('progress', ({loaded, total}) => onSent(loaded, total));
  return new Promise((resolve, reject) => {
    sending.addEventListener('load', () => {
      const {status, responseText} = sending;
      const answer = parse(responseText);
      if (status < 300 && answer) resolve(answer);
      else reject(new Refusal(answer ?? {}, status, secondsUntil(sending.getResponseHeader('Retry-After'))));
    });
    sending.addEventListener('error', () => reject(new Unreachable('jobs')));
    sending.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
    signal.addEventListener('abort', () => sending.abort());
    sending.send(form(file, values));
  });
}

// words that are no JSON come from something in between
function parse(words) {
  try {
    return JSON.parse(words);
  } catch {
    return null;
  }
}

export async function job(id, signal) {
  return read(await ask(`jobs/${id}`, {cache: 'no-store', signal}), 'json');
}

// Hears of every change of a job. What is given back ends it.
export function listen(id, onJob, onFailure) {
  const source = new EventSource(`jobs/${id}/events`);
  source.addEventListener('message', ({data}) => onJob(JSON.parse(data)));
  source.addEventListener('error', onFailure);
  return () => source.close();
}

export async function cancel(id) {
  return read(await ask(`jobs/${id}/cancel`, {method: 'POST'}), 'json');
}

export async function remove(id) {
  await ask(`jobs/${id}`, {method: 'DELETE'});
}

// The photo as it was handed in.
export async function photo(id, name) {
  // the name decides nothing, but all after its last dot would be taken for an ending
  return new File([await read(await ask(`jobs/${id}/photo`))], `${name}.photo`);
}

// A finished file, under its own name.
export async function file({url, name, type}) {
  return new File([await read(await ask(url))], name, {type});
}

// {url, qr, hint}: where a phone finds the page of a clip
export async function link(id) {
  return read(await ask(`jobs/${id}/link`, {cache: 'no-store'}), 'json');
}

// The address of several clips as one ZIP, once it is known that they can be had.
export async function archive(ids) {
  const address = `clips.zip?${ids.map((id) => `id=${id}`).join('&')}`;
  await ask(address, {method: 'HEAD', cache: 'no-store'});
  return address;
}

// Has a file made that is not there yet, and fetches next to nothing of it.
export async function make(url) {
  await read(await ask(url, {headers: {Range: 'bytes=0-0'}, cache: 'no-store'}));
}

// ---- the rest ----

// One of the page's own photos.
export async function example(url, name) {
  const photo = await read(await ask(url));
  return new File([photo], name, {type: photo.type});
}

// The upright picture of a photo that the browser cannot show itself.
export async function upright(file, signal) {
  return read(await ask('upright', {method: 'POST', body: form(file), signal}));
}

// A page as the server would show it now, in the language switched to.
export async function page(address = './') {
  const html = await (await ask(address, {cache: 'no-store'})).text();
  return new DOMParser().parseFromString(html, 'text/html');
}

// Begins to fetch a model on the server, or goes on with it.
export async function fetchModel(name) {
  await ask(`model/download?model=${encodeURIComponent(name)}`, {method: 'POST'});
}

// Stops that; what has come is kept.
export async function stopModel(name) {
  await ask(`model/download?model=${encodeURIComponent(name)}`, {method: 'DELETE'});
}

// {status, engine, engines, warnings, depth, waiting, libraries, models}; also while the server cannot do any job
export async function health() {
  const response = await fetch('health').catch(() => null);
  return response?.json().catch(() => null) ?? null;
}

// {page, errors, …}: each a mapping of key to sentence
export async function words(language) {
  // beside this file, in the version that the page is of
  return (await ask(new URL(`../locales/${language}.json`, import.meta.url))).json();
}
