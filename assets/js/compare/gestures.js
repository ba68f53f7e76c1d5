// Mouse, pen and touch on the stage: dragging, pinching, the wheel, a double click.
const WHEEL = 0.0015;
const TRACKPAD = 0.01;

export function listenGestures(view, { camera, dragsSplit, split, changed }) {
  const pointers = new Map();
  let drag = "";

  // Where a point lies in its pane.
  function spot({ clientX, clientY }) {
    const panes = [...view.querySelectorAll(".cmp-pane")].map((pane) => pane.getBoundingClientRect());
    const holds = ({ left, right, top, bottom }) =>
      clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
    const { left, top } = panes.find(holds) ?? panes[0];
    return [clientX - left, clientY - top];
  }

  function pinch(event) {
    const [first, second] = [...pointers.values()];
    const span = Math.hypot(first.x - second.x, first.y - second.y);
    const middle = [(first.x + second.x) / 2, (first.y + second.y) / 2];
    if (drag !== "pinch") Object.assign(pinch, { span, middle, at: spot(event) });
    else {
      camera.panBy(middle[0] - pinch.middle[0], middle[1] - pinch.middle[1]);
      camera.zoomBy(span / pinch.span, ...pinch.at);
      Object.assign(pinch, { span, middle });
    }
    drag = "pinch";
    changed();
  }

  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("button, a")) return;
    view.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size === 2) return pinch(event);
    drag = dragsSplit(event.target) ? "split" : "pan";
    if (drag === "split") split(spot(event)[0]);
  });

  view.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    pointers.set(event.pointerId, now);
    if (pointers.size === 2) return pinch(event);
    if (drag === "split") return split(spot(event)[0]);
    if (drag !== "pan") return;
    camera.panBy(now.x - before.x, now.y - before.y);
    changed();
  });

  const ended = (event) => {
    pointers.delete(event.pointerId);
    if (!pointers.size || drag === "pinch") drag = "";
  };
  view.addEventListener("pointerup", ended);
  view.addEventListener("pointercancel", ended);

  // Scrolling down past the whole picture scrolls the page, so that the stage is no trap.
  view.addEventListener(
    "wheel",
    (event) => {
      if (camera.isFit() && event.deltaY > 0 && !event.ctrlKey) return;
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const strength = event.ctrlKey ? TRACKPAD : WHEEL;
      camera.zoomBy(Math.exp(-event.deltaY * lines * strength), ...spot(event));
      changed();
    },
    { passive: false },
  );

  view.addEventListener("dblclick", (event) => {
    if (event.target.closest("button, a")) return;
    camera.toggle(...spot(event));
    changed();
  });
}
