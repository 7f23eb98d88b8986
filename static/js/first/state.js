// Says in which state the page begins, before anything is painted: empty, or opening where there is something to find
// again. Without JavaScript, or where it is too old for the rest, the plain form stays. It comes before the style
// sheets, which would hold it up, and with it all that follows in the page.
{
  const clips = `turn-live-photos:${location.pathname}`;
  // the shape of what was on the table in this tab, and how many clips there are
  const recall = () => {
    try {
      const entries = JSON.parse(localStorage.getItem(clips)) ?? [];
      const id = sessionStorage.getItem(`${clips}:table`);
      if (!id) return [Number(sessionStorage.getItem(`${clips}:photo`)), entries.length];
      return [entries.find((entry) => entry.id === id)?.ratio ?? 1.6, entries.length];
    } catch {
      return [0, 0];
    }
  };
  const begin = (form) => {
    const [shape, count] = recall();
    form.dataset.state = shape ? 'opening' : 'empty';
    if (shape) form.style.setProperty('--ratio', Math.min(3, Math.max(0.45, shape)));
    form.toggleAttribute('data-several', count > 1);
    // the modules have run by then, or else they have not come
    addEventListener('load', () => {
      if ('live' in form.dataset) return;
      delete form.dataset.state;
      document.head.append(document.getElementById('later').content);
    });
  };
  if ('noModule' in HTMLScriptElement.prototype) {
    // told of what has been parsed before it can be painted
    new MutationObserver((_changes, observer) => {
      const form = document.getElementById('studio');
      if (!form) return;
      observer.disconnect();
      begin(form);
    }).observe(document, {childList: true, subtree: true});
  }
}
