// The LIVE badge: held, it shows the still photo for as long; tapped, it stops the clip or lets it play.

const TAP = 300;

export class Compare {
  constructor(badge) {
    this.badge = badge;
    this.pressed = null;
    badge.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      badge.setPointerCapture(event.pointerId);
      this.press();
    });
    for (const name of ['pointerup', 'pointercancel']) badge.addEventListener(name, () => this.release());
    badge.addEventListener('keydown', (event) => {
      if (event.key !== ' ' && event.key !== 'Enter') return;
      event.preventDefault();
      if (!event.repeat) this.press();
    });
    badge.addEventListener('keyup', () => this.release());
    badge.addEventListener('blur', () => this.release());
    badge.addEventListener('contextmenu', (event) => event.preventDefault());
    // a screen reader clicks without a pointer or a key
    badge.addEventListener('click', (event) => {
      if (event.detail === 0) this.show(!this.isStill());
    });
  }

  isStill() {
    return this.badge.getAttribute('aria-pressed') === 'true';
  }

  show(still) {
    this.badge.setAttribute('aria-pressed', String(still));
  }

  press() {
    this.pressed = {since: Date.now(), wasStill: this.isStill()};
    this.show(true);
  }

  release() {
    if (!this.pressed) return;
    const {since, wasStill} = this.pressed;
    this.pressed = null;
    const isTap = Date.now() - since < TAP;
    this.show(isTap ? !wasStill : wasStill);
  }
}
