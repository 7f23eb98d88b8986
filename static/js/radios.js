// Radio buttons of one name, with the manners of a single field.

class Radios {
  constructor(buttons) {
    this.buttons = buttons;
  }

  get name() {
    return this.buttons[0].name;
  }

  get value() {
    return this.buttons.find(({checked}) => checked)?.value ?? '';
  }

  // What is not offered becomes what is usual.
  set value(value) {
    const wanted = this.buttons.find((button) => button.value === String(value)) ?? this.usual;
    wanted.checked = true;
  }

  get usual() {
    return this.buttons.find(({defaultChecked}) => defaultChecked);
  }

  get defaultValue() {
    return this.usual.value;
  }

  get validity() {
    return this.buttons[0].validity;
  }

  addEventListener(...how) {
    this.buttons.forEach((button) => button.addEventListener(...how));
  }

  dispatchEvent(event) {
    return this.buttons[0].dispatchEvent(event);
  }

  focus() {
    this.buttons.find(({checked}) => checked)?.focus();
  }
}

// The fields of a form's part, radio buttons of one name as one.
export function findFields(place) {
  const kinds = 'input[name]:not([type="radio"]), select[name], textarea[name], [role="radiogroup"]';
  const fields = [...place.querySelectorAll(kinds)];
  return fields.map((field) => {
    if (field.role !== 'radiogroup' && field.getAttribute('role') !== 'radiogroup') return field;
    return new Radios([...field.querySelectorAll('input')]);
  });
}
