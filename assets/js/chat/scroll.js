// Keeps the newest text in view while the reader is at the end, and only then.
const NEAR_PX = 24;

export function keepAtEnd(scroller, content, button) {
  let stuck = true;
  let last = 0;
  const atEnd = () =>
    scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight <= NEAR_PX;
  const toEnd = () => {
    stuck = true;
    scroller.scrollTop = scroller.scrollHeight;
    last = scroller.scrollTop;
    button.hidden = true;
  };
  const look = () => {
    const here = scroller.scrollTop;
    if (here < last - 1 || atEnd()) stuck = atEnd();
    last = here;
    button.hidden = stuck;
  };
  scroller.addEventListener("scroll", look, { passive: true });
  button.addEventListener("click", () => {
    toEnd();
    scroller.focus({ preventScroll: true });
  });
  const empty = () => content.firstElementChild?.matches(".c-empty");
  const watch = new ResizeObserver(() => (stuck && !empty() ? toEnd() : look()));
  watch.observe(content);
  watch.observe(scroller);
  return toEnd;
}
