// The time left, as a clock that runs down between two words of the server. A little more than before is the noise of
// measuring and is not shown; clearly more is.

const SECOND = 1000;
const NOISE = 5;
const PART = 0.25;

export class Countdown {
  constructor() {
    this.end = null;
  }

  update(seconds) {
    if (seconds === null || seconds === undefined) return;
    const end = Date.now() + seconds * SECOND;
    const more = (end - this.end) / SECOND;
    const isNoise = this.end !== null && more > 0 && more < Math.max(NOISE, PART * seconds);
    if (!isNoise) this.end = end;
  }

  // Whole seconds, or null where nothing is known or more has passed than was thought.
  get left() {
    if (this.end === null) return null;
    const seconds = Math.ceil((this.end - Date.now()) / SECOND);
    return seconds > 0 ? seconds : null;
  }
}

// Seconds → a sentence; from a minute and a half on, whole minutes.
export function span(seconds) {
  if (seconds < 90) return ['whole_seconds', {seconds}];
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? ['whole_minutes', {minutes}] : ['hours', {hours: Math.floor(minutes / 60), minutes: minutes % 60}];
}
