// The stage's tools: modes, zoom, and what belongs to one mode alone.
import { SCALES, paintScale } from "./difference.js";
import { button, choice, el, fold } from "./dom.js";
import { number, percent } from "./figures.js";
import { FASTEST_MS, SLOWEST_MS } from "./flicker.js";

const TICKS = [0, 0.25, 0.5, 0.75, 1];
const KEYS = [
  ["← →", "compare.keys.handle"],
  ["Shift + ← →", "compare.keys.handle_far"],
  ["Home, End", "compare.keys.handle_ends"],
  ["+, −", "compare.keys.zoom"],
  ["0", "compare.keys.fit"],
  ["1", "compare.keys.one"],
  ["← → ↑ ↓", "compare.keys.pan"],
  ["Space", "compare.keys.space"],
  ["Page Up, Page Down", "compare.keys.item"],
];

export function makeTools(say, actions) {
  const names = {
    slider: say("compare.mode.slider"),
    side: say("compare.mode.side"),
    flicker: say("compare.mode.flicker"),
    difference: say("compare.mode.difference"),
    all: say("compare.mode.all"),
  };
  const modes = Object.entries(names).map(([name, words]) =>
    button(words, () => actions.mode(name), { data: { mode: name } }),
  );
  const fit = button(say("compare.zoom.fit"), actions.fit);
  const one = button("1:1", actions.one, { "aria-label": say("compare.zoom.one") });
  const share = el("output", { class: "cmp-zoom", "aria-label": say("compare.zoom.now") });
  const interval = el("input", {
    type: "range",
    min: FASTEST_MS,
    max: SLOWEST_MS,
    step: 100,
    "aria-label": say("compare.flicker.interval"),
    oninput: () => actions.interval(Number(interval.value)),
  });
  const every = el("output");
  const play = button("", actions.play);
  const flicker = el("span", { class: "cmp-row" }, play, interval, every);
  const scales = SCALES.map((scale) => [scale, scale === "auto" ? say("compare.difference.auto") : scale]);
  const scale = el(
    "label",
    { class: "cmp-row" },
    say("compare.difference.scale"),
    choice(say("compare.difference.scale"), scales, "auto", actions.scale),
  );
  const group = (label, ...children) =>
    el("span", { class: "cmp-group", role: "group", "aria-label": label }, children);
  const bar = el(
    "div",
    { class: "cmp-tools", role: "toolbar", "aria-label": say("compare.stage.tools") },
    group(say("compare.mode.label"), modes),
    group(
      say("compare.zoom.label"),
      button("−", () => actions.zoom(-1), { "aria-label": say("compare.zoom.out") }),
      share,
      button("+", () => actions.zoom(1), { "aria-label": say("compare.zoom.in") }),
      fit,
      one,
      document.fullscreenEnabled ? button(say("compare.zoom.full"), actions.full) : null,
    ),
    flicker,
    scale,
  );

  const ramp = el("canvas", { "aria-hidden": "true" });
  const ticks = el("span", { class: "cmp-ticks" });
  const drawn = el("span", { class: "cmp-ramp" }, ramp, ticks);
  const about = el("p", { class: "cmp-quiet", "aria-live": "polite" });
  const legend = el("div", { class: "cmp-legend" }, drawn, about);
  paintScale(ramp);
  const help = fold(
    say("compare.keys.label"),
    el(
      "dl",
      { class: "cmp-keys" },
      KEYS.map(([keys, key]) => el("div", {}, el("dt", {}, el("kbd", {}, keys)), el("dd", {}, say(key)))),
    ),
  );

  return {
    bar,
    below: el("div", { class: "cmp-below" }, legend, help),
    update(now) {
      for (const made of modes) made.setAttribute("aria-pressed", made.dataset.mode === now.mode);
      fit.setAttribute("aria-pressed", now.fit);
      one.setAttribute("aria-pressed", !now.fit && Math.abs(now.percent - 100) < 0.01);
      share.textContent = `${Math.round(now.percent)} %`;
      flicker.hidden = now.mode !== "flicker";
      scale.hidden = now.mode !== "difference";
      const runs = now.flicker.runs();
      play.textContent = say(runs ? "compare.flicker.pause" : "compare.flicker.play");
      interval.value = now.flicker.interval();
      every.textContent = `${now.flicker.interval()} ms`;
    },
    // What a difference map found; null while there is none.
    measured(found) {
      legend.hidden = !found;
      if (!found) return;
      drawn.hidden = Boolean(found.problem);
      if (found.problem) return about.replaceChildren(found.problem);
      ticks.replaceChildren(
        ...TICKS.map((tick) => {
          const value = tick * found.full;
          const more = tick === 1 && found.full < found.largest ? "≥ " : "";
          return el("span", {}, `${more}${Number.isInteger(value) ? value : value.toFixed(1)}`);
        }),
      );
      const values = { largest: found.largest, mean: number(found.mean), share: percent(found.share) };
      about.textContent = say(found.largest ? "compare.difference.about" : "compare.difference.none", values);
    },
  };
}
