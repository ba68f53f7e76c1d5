// The stage: two or more pictures of the same request, seen through one camera.
import { makeCamera } from "./camera.js";
import { difference, fullScale, paintDifference, pixels } from "./difference.js";
import { el } from "./dom.js";
import { speaker } from "./figures.js";
import { makeFlicker } from "./flicker.js";
import { listenGestures } from "./gestures.js";
import { makeHandle } from "./handle.js";
import { layout, makePane } from "./panes.js";
import { makeTools } from "./tools.js";

const STEP = 1.25;
const PAN = 60;

// A side is `{src, label, note, simulated}`: without `src` its note is shown in its place.
// `bare` leaves the tools away, for a page that has its own.
export function mountStage(root, { texts, bare = false }) {
  const say = speaker(texts);
  const camera = makeCamera();
  const handle = makeHandle(say, draw);
  const flicker = makeFlicker(turn);
  let mode = "slider";
  let [left, right, all] = [null, null, []];
  let panes = [];
  let built = "";
  let turned = false;
  let scale = "auto";
  let painted = 0;

  const view = el("div", {
    class: "cmp-view",
    tabindex: 0,
    role: "group",
    "aria-label": say("compare.stage.view"),
  });
  const actions = {
    mode: setMode,
    fit: () => (camera.toFit(), draw()),
    one: () => (camera.toOne(), draw()),
    zoom: (way) => (camera.zoomBy(STEP ** way), draw()),
    scale: (chosen) => ((scale = chosen), paint()),
    interval: (ms) => (flicker.every(ms), draw()),
    play: () => (flicker.play(!flicker.runs()), draw()),
    full: () => (document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen()),
  };
  const tools = makeTools(say, actions);
  const stage = el("div", { class: "cmp-stage" }, bare ? null : tools.bar, view, tools.below);
  root.append(stage);

  function setMode(name) {
    mode = name;
    turned = false;
    build();
  }

  function turn() {
    turned = !turned;
    draw();
  }

  // Panes are made anew only where their number or kind changes, so that pictures stay loaded.
  function build() {
    if (!left) return;
    const sides = layout(mode, left, right, all);
    const pair = sides.length === 1;
    const shape = `${mode === "difference" && pair}${sides.map((each) => each.length)}`;
    if (shape !== built) {
      built = shape;
      panes = sides.map((each) => makePane(each.length, mode === "difference" && pair, draw));
      view.replaceChildren(...panes.map((pane) => pane.node), handle.node);
    }
    panes.forEach((pane, index) => pane.fill(sides[index]));
    stage.dataset.mode = mode;
    view.dataset.panes = panes.length;
    handle.node.hidden = !(mode === "slider" && pair);
    flicker.activate(mode === "flicker" && pair);
    draw();
    paint();
  }

  // The size of the first picture that is there; others of the same request are shown as large.
  function pictureSize() {
    const shown = panes.flatMap((pane) => pane.images).find((image) => image.naturalWidth && !image.hidden);
    const canvas = panes[0]?.canvas;
    if (canvas?.width && canvas.dataset.drawn) return { width: canvas.width, height: canvas.height };
    return shown ? { width: shown.naturalWidth, height: shown.naturalHeight } : null;
  }

  function draw() {
    const size = pictureSize();
    if (panes.length && size) {
      stage.style.setProperty("--shape", size.width / size.height);
      const { clientWidth: width, clientHeight: height } = panes[0].node;
      camera.resize({ width, height }, size);
      const box = camera.box();
      for (const pane of panes) pane.place(box, camera.percent() > 100);
      stack(box, width);
    }
    stage.toggleAttribute("data-larger", camera.larger());
    tools.update({ mode, percent: camera.percent(), fit: camera.isFit(), scale, flicker });
  }

  // Which of two pictures on one another is seen, and where.
  function stack(box, room) {
    const [{ images, labels, node }] = panes;
    if (images.length < 2) return;
    const [from, to] = [Math.max(box.left, 0), Math.min(box.left + box.width, room)];
    const at = from + handle.share() * (to - from);
    const cut = mode === "slider" ? at - box.left : 0;
    images[1].style.clipPath = mode === "slider" ? `inset(0 0 0 ${cut}px)` : "none";
    images[1].style.visibility = mode === "flicker" && !turned ? "hidden" : "visible";
    handle.node.style.left = `${at}px`;
    handle.describe(left.label, right.label);
    const { clientWidth: wide } = node;
    labels[0].hidden = mode === "flicker" ? turned : at < 24;
    labels[1].hidden = mode === "flicker" ? !turned : wide - at < 24;
  }

  async function paint() {
    const mine = ++painted;
    tools.measured(null);
    const canvas = panes[0]?.canvas;
    if (!canvas) return;
    const read = Promise.all([pixels(left.src), pixels(right.src)]);
    const found = await read.then(([a, b]) => difference(a, b) ?? "sizes", () => "unreadable");
    if (mine !== painted) return;
    if (typeof found === "string") {
      canvas.width = canvas.height = 0;
      const problems = {
        sizes: say("compare.difference.sizes"),
        unreadable: say("compare.difference.unreadable"),
      };
      return tools.measured({ problem: problems[found] });
    }
    const full = fullScale(scale, found.largest);
    paintDifference(canvas, found, full);
    canvas.dataset.drawn = "true";
    canvas.setAttribute("aria-label", say("compare.difference.of", { left: left.label, right: right.label }));
    tools.measured({ ...found, full });
    draw();
  }

  listenGestures(view, {
    camera,
    dragsSplit: (target) =>
      mode === "slider" && !handle.node.hidden && (target === handle.node || !camera.larger()),
    split(x) {
      const box = camera.box();
      const [from, to] = [Math.max(box.left, 0), Math.min(box.left + box.width, view.clientWidth)];
      handle.move((100 * (x - from)) / (to - from));
    },
    changed: draw,
  });
  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pan = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
    const keys = { "+": () => actions.zoom(1), "=": () => actions.zoom(1), "-": () => actions.zoom(-1) };
    Object.assign(keys, { 0: actions.fit, 1: actions.one });
    if (mode === "flicker") keys[" "] = actions.play;
    if (pan[event.key] && camera.larger()) keys[event.key] = () => (camera.panBy(...pan[event.key]), draw());
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  const watched = new ResizeObserver(draw);
  watched.observe(view);

  return {
    show(one, other, others = [one, other]) {
      [left, right, all] = [one, other, others];
      build();
    },
    mode: setMode,
    modeNow: () => mode,
    split: (share) => handle.move(share * 100),
    fit: actions.fit,
    destroy() {
      painted++;
      watched.disconnect();
      flicker.destroy();
      stage.remove();
    },
  };
}
