// The ways in: choose, drop, paste. Each hands over a list of files that is not empty. What a dialog is open for goes on:
// nothing comes in behind it.

export function listen(studio, field, take) {
  // the plain form takes one
  field.multiple = true;
  const takeChosen = () => {
    // the plain form sends what its field holds
    if (!('live' in studio.dataset)) return;
    const files = [...field.files];
    // the same file can be chosen again
    field.value = '';
    if (files.length) take(files);
  };
  field.addEventListener('change', takeChosen);
  // on a slow line a photo may have been chosen before this was here
  takeChosen();
  listenToDrops(studio, take);
  window.addEventListener('paste', (event) => {
    const files = [...event.clipboardData?.files ?? []];
    if (!files.length) return;
    event.preventDefault();
    if (!isCovered()) take(files);
  });
}

function listenToDrops(studio, take) {
  let own = false;
  let leaving = 0;
  const carriesFiles = (event) => !own && event.dataTransfer?.types.includes('Files');
  const leave = () => studio.removeAttribute('data-dragging');

  // the clip may be dragged out of the page, not back into it
  window.addEventListener('dragstart', () => { own = true; });
  window.addEventListener('dragend', () => { own = false; });
  for (const name of ['dragenter', 'dragover']) {
    window.addEventListener(name, (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      clearTimeout(leaving);
      event.dataTransfer.dropEffect = isCovered() ? 'none' : 'copy';
      if (isCovered()) return;
      studio.toggleAttribute('data-dragging', true);
    });
  }
  window.addEventListener('dragleave', (event) => {
    // within the window something else is entered at the same moment; not every browser says so
    if (!event.relatedTarget) leaving = setTimeout(leave, 100);
  });
  window.addEventListener('drop', (event) => {
    leave();
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const files = [...event.dataTransfer.files];
    if (files.length && !isCovered()) take(files);
  });
}

function isCovered() {
  return document.querySelector('dialog[open]') !== null;
}
