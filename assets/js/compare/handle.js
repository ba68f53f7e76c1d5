// The handle between two pictures: dragged, or moved by keys as any slider.
import { el } from "./dom.js";

const STEP = 1;
const LARGE = 10;

export function makeHandle(say, moved) {
  let at = 50;
  const node = el("div", {
    class: "cmp-handle",
    role: "slider",
    tabindex: 0,
    "aria-label": say("compare.stage.handle"),
    "aria-orientation": "horizontal",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    onkeydown,
  });

  function onkeydown(event) {
    const step = event.shiftKey ? LARGE : STEP;
    const to = {
      ArrowLeft: at - step,
      ArrowDown: at - step,
      ArrowRight: at + step,
      ArrowUp: at + step,
      Home: 0,
      End: 100,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    move(to);
  }

  function move(to) {
    at = Math.min(Math.max(to, 0), 100);
    moved();
  }

  return {
    node,
    move,
    share: () => at / 100,
    describe(left, right) {
      const value = Math.round(at);
      node.setAttribute("aria-valuenow", value);
      node.setAttribute(
        "aria-valuetext",
        say("compare.stage.handle_value", { left, right, left_share: value, right_share: 100 - value }),
      );
    },
  };
}
