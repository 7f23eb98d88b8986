// Tells of a finished clip when nobody is looking; only to people who have allowed it, and nobody is asked unbidden.

import {say} from './words.js';

// Android's browsers know the word but let only service workers speak
const canRing = 'Notification' in window && !/Android/.test(navigator.userAgent);

export class Bell {
  constructor(button) {
    this.button = button;
    button.addEventListener('click', async () => {
      await Notification.requestPermission();
      this.offer();
    });
    this.offer();
  }

  offer() {
    this.button.hidden = !canRing || Notification.permission !== 'default';
  }

  ring(clip) {
    if (!canRing || Notification.permission !== 'granted' || !document.hidden) return;
    const key = clip.state === 'done' ? 'ring_done' : 'ring_failed';
    const notification = new Notification(say(key, {name: clip.name}), {tag: clip.id, icon: clip.job?.preview ?? ''});
    notification.addEventListener('click', () => {
      window.focus();
      notification.close();
    });
  }
}
