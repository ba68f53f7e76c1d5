// A comparison in front of an audience: the prompt and the slider, gone through by keys or clicker.
import { get, post } from "../server.js";
import { say } from "./bars.js";
import { el } from "./dom.js";
import { makePollScreen } from "./present_poll.js";
import { mountStage } from "./stage.js";

const BUSY_MS = 400;
const IDLE_MS = 5000;
const REST_MS = 2500;
const [LEAST_S, MOST_S] = [2, 120];
const LETTERS = "ABCDEF";
const HELP = {
  "→ · Space · PgDn": "present.key_next",
  "← · PgUp": "present.key_previous",
  "↑ · ↓": "present.key_slider",
  "1 – 6": "present.key_right",
  S: "present.key_mode",
  N: "present.key_new",
  L: "present.key_labels",
  P: "present.key_poll",
  A: "present.key_auto",
  "B · .": "present.key_black",
  F: "present.key_full",
  R: "present.key_reset",
  H: "present.key_help",
  Esc: "present.key_leave",
};
const MODES = ["slider", "side", "flicker", "difference"];

const main = document.querySelector("main");
let data = window.studioBoot.data;
let place = 0;
let right = 1;
let split = 0.5;
let labels = true;
let swapped = false;
const salt = crypto.getRandomValues(new Uint32Array(1))[0];
let timer = 0;
let resting = 0;
const auto = { on: false, timer: 0, seconds: Number(localStorage.getItem("studio.present.seconds")) || 8 };

// ---- the parts ----------------------------------------------------------------------------------

const prompt = el("h1", { class: "p-prompt" });
const stageRoot = el("div", { class: "p-stage" });
const answers = el("div", { class: "p-answers" });
const dots = el("nav", { class: "p-dots", "aria-label": say("present.slides") });
const pick = el("div", { class: "p-pick", role: "group", "aria-label": say("present.right") });
const field = el("input", { class: "p-field", placeholder: say("present.new"), "aria-label": say("present.new"), maxlength: 2000 });
const interval = el("input", { type: "number", min: LEAST_S, max: MOST_S, value: auto.seconds, "aria-label": say("present.seconds"), onchange: setInterval_ });
const autoTool = tool("present.auto", toggleAuto, "auto");
const black = el("div", { class: "p-black", hidden: true, onclick: () => turnBlack(false) });
const notice = el("div", { class: "p-notice", role: "alert", hidden: true });
const help = el("dialog", { class: "p-dialog", "aria-label": say("present.help") });
const sure = el("dialog", { class: "p-dialog", "aria-label": say("present.reset") });
let stage = null;
let polls = null;

function tool(key, onclick, name) {
  return el("button", { type: "button", class: "p-tool", onclick, data: { tool: name } }, say(key));
}

function build() {
  const ask = el("form", { class: "p-ask", onsubmit: asked }, field);
  const seconds = el("label", { class: "p-seconds" }, interval, say("present.unit"));
  const tools = el(
    "div",
    { class: "p-tools" },
    autoTool,
    seconds,
    tool("present.labels", toggleLabels, "labels"),
    tool("present.poll", () => polls.toggle(), "poll"),
    tool("present.reset", askReset, "reset"),
    tool("present.full", toggleFull, "full"),
    tool("present.help", toggleHelp, "help"),
  );
  const foot = el("footer", { class: "p-foot" }, dots, pick, ask, tools);
  main.replaceChildren(prompt, stageRoot, answers, foot, notice, black, help, sure);
  stage = mountStage(stageRoot, { texts: window.studioBoot.texts, bare: true });
  polls = makePollScreen(main, data, complain);
  help.append(
    el("h2", {}, say("present.help")),
    el("dl", {}, Object.entries(HELP).map(([keys, key]) => el("div", {}, el("dt", {}, keys), el("dd", {}, say(key))))),
  );
}

function complain(error) {
  const said = error?.html;
  notice.hidden = said === undefined;
  if (said === undefined) return;
  notice.innerHTML = said;
  notice.querySelector("details")?.remove();
  setTimeout(() => (notice.hidden = true), 8000);
}

// ---- slides -------------------------------------------------------------------------------------

const now = () => data.slides[place];

// Without labels the sides are shuffled, and stay so when the labels come back on the same slide.
function shuffle() {
  const key = salt + now().key;
  const sum = [...key].reduce((mixed, letter) => Math.imul(mixed ^ letter.codePointAt(0), 16777619), 2166136261);
  swapped = ((sum >>> 13) ^ sum) % 2 !== 0;
}

function side(variant, letter) {
  const made = now().sides[variant];
  const waits = made.state === "running" || made.state === "waiting";
  const note = made.error ? [el("b", {}, made.error.message), " ", made.error.hint] : say(waits ? "present.wait" : "present.nothing");
  return { src: made.src ?? null, label: labels ? data.variants[variant] : letter, note };
}

function draw() {
  const slide = now();
  prompt.textContent = slide.prompt;
  prompt.dataset.long = slide.prompt.length > 140;
  document.body.dataset.kind = slide.text ? "text" : "pictures";
  document.body.toggleAttribute("data-blind", !labels);
  stageRoot.hidden = slide.text;
  answers.hidden = !slide.text;
  if (slide.text) drawAnswers(slide);
  else {
    const [one, other] = swapped ? [right, data.reference] : [data.reference, right];
    stage.show(side(one, LETTERS[0]), side(other, LETTERS[1]));
  }
  dots.replaceChildren(
    ...data.slides.map((each, number) =>
      el("button", {
        type: "button",
        "aria-label": each.prompt,
        title: each.prompt,
        "aria-current": number === place ? "true" : null,
        data: { live: each.live, running: each.running },
        onclick: () => go(number),
      }),
    ),
  );
  const others = data.variants.map((_, variant) => variant).filter((variant) => variant !== data.reference);
  pick.hidden = slide.text || others.length < 2;
  pick.replaceChildren(
    ...others.map((variant) =>
      el(
        "button",
        { type: "button", class: "p-tool", "aria-pressed": String(variant === right), onclick: () => choose(variant) },
        labels ? data.variants[variant] : String(variant + 1),
      ),
    ),
  );
  autoTool.setAttribute("aria-pressed", String(auto.on));
  fetchAhead();
}

function drawAnswers(slide) {
  const made = slide.sides.map((each, variant) => {
    const said = each.answer || (each.error ? `${each.error.message} ${each.error.hint}` : say("present.wait"));
    const shown = labels ? data.variants[variant] : LETTERS[variant];
    return el("article", { class: "p-answer" }, el("h2", {}, shown), el("p", { data: { state: each.state } }, said));
  });
  answers.style.setProperty("--columns", made.length);
  answers.replaceChildren(...made);
}

function fetchAhead() {
  const next = data.slides[(place + 1) % data.slides.length];
  for (const { src } of next.sides) if (src) new Image().src = src;
}

function go(to) {
  place = (to + data.slides.length) % data.slides.length;
  swapped = false;
  if (!labels) shuffle();
  draw();
  rearm();
}

function choose(variant) {
  if (!data.variants[variant] || variant === data.reference) return;
  right = variant;
  draw();
}

// ---- news ---------------------------------------------------------------------------------------

function take(fresh) {
  const was = now()?.key;
  data = { ...data, ...fresh };
  const same = data.slides.findIndex((slide) => slide.key === was);
  place = same < 0 ? 0 : same;
}

async function look() {
  clearTimeout(timer);
  if (!document.hidden) {
    const fresh = await get(`present/${data.job}`).catch(() => null);
    if (fresh && JSON.stringify(fresh.slides) !== JSON.stringify(data.slides)) {
      take(fresh);
      draw();
    }
    if (fresh) data.running = fresh.running;
  }
  clearTimeout(timer);
  timer = setTimeout(look, data.running ? BUSY_MS : IDLE_MS);
}

async function asked(event) {
  event.preventDefault();
  if (!field.value.trim()) return;
  try {
    const fresh = await post(`present/${data.job}/ask`, { prompt: field.value });
    field.value = "";
    field.blur();
    take(fresh);
    go(data.slides.findIndex((slide) => slide.key === `${fresh.made}/0`));
    look();
  } catch (error) {
    complain(error);
  }
}

// ---- what keys do -------------------------------------------------------------------------------

function toggleLabels() {
  labels = !labels;
  if (!labels) shuffle();
  draw();
}

function turnBlack(on) {
  black.hidden = !on;
}

function toggleFull() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen().catch(() => {});
}

function toggleHelp() {
  if (help.open) help.close();
  else help.showModal();
}

function nextMode() {
  stage.mode(MODES[(MODES.indexOf(stage.modeNow()) + 1) % MODES.length]);
  draw();
}

function moveSplit(by) {
  split = Math.min(1, Math.max(0, split + by));
  stage.split(split);
}

function toggleAuto() {
  auto.on = !auto.on;
  draw();
  rearm();
}

function rearm() {
  clearTimeout(auto.timer);
  if (auto.on) auto.timer = setTimeout(() => go(place + 1), 1000 * auto.seconds);
}

function setInterval_() {
  auto.seconds = Math.min(MOST_S, Math.max(LEAST_S, Number(interval.value) || auto.seconds));
  interval.value = auto.seconds;
  localStorage.setItem("studio.present.seconds", auto.seconds);
  rearm();
}

function askReset() {
  const live = new Set(data.slides.filter((slide) => slide.live).map((slide) => slide.key)).size;
  sure.replaceChildren(
    el("h2", {}, say("present.reset_sure")),
    el("p", {}, say("present.reset_what", { count: live })),
    el(
      "div",
      { class: "p-row" },
      el("button", { type: "button", class: "p-tool p-yes", onclick: reset }, say("present.reset_yes")),
      el("button", { type: "button", class: "p-tool", onclick: () => sure.close() }, say("present.reset_no")),
    ),
  );
  sure.showModal();
}

async function reset() {
  sure.close();
  try {
    take(await post(`present/${data.job}/reset`));
    [right, labels, split] = [data.reference === 0 ? 1 : 0, true, 0.5];
    stage.mode("slider");
    stage.split(split);
    go(0);
    polls.look();
  } catch (error) {
    complain(error);
  }
}

function leave() {
  if (document.fullscreenElement) return document.exitFullscreen();
  location.assign("/");
}

const KEYS = {
  ArrowRight: () => go(place + 1),
  " ": () => go(place + 1),
  PageDown: () => go(place + 1),
  ArrowLeft: () => go(place - 1),
  PageUp: () => go(place - 1),
  ArrowUp: () => moveSplit(0.05),
  ArrowDown: () => moveSplit(-0.05),
  Home: () => go(0),
  End: () => go(-1),
  ".": () => turnBlack(black.hidden),
  b: () => turnBlack(black.hidden),
  f: toggleFull,
  a: toggleAuto,
  l: toggleLabels,
  s: nextMode,
  p: () => polls.toggle(),
  h: toggleHelp,
  "?": toggleHelp,
  r: askReset,
  n: () => field.focus(),
  Escape: leave,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (sure.open) return void (event.key === "r" && (event.preventDefault(), reset()));
  if (help.open || polls.open()) {
    if (!["h", "?", "p", "b", ".", "r", "Escape"].includes(event.key.toLowerCase())) return;
    if (event.key === "Escape") return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const digit = /^[1-6]$/.test(key) && (() => choose(Number(key) - 1));
  const action = KEYS[key] ?? digit;
  if (!action) return;
  event.preventDefault();
  event.stopPropagation();
  if (!black.hidden && !["b", "."].includes(key)) return turnBlack(false);
  action();
}

function stir() {
  clearTimeout(resting);
  delete document.body.dataset.resting;
  resting = setTimeout(() => (document.body.dataset.resting = "true"), REST_MS);
}

if (data.problem) {
  main.replaceChildren(
    el("section", { class: "p-problem" }, el("h1", {}, data.problem.message), el("p", {}, data.problem.hint), el("a", { href: "/" }, "Spark Studio")),
  );
} else {
  right = data.reference === 0 ? 1 : 0;
  build();
  go(0);
  look();
  stir();
  addEventListener("keydown", onKey, true);
  for (const kind of ["pointermove", "pointerdown", "focusin"]) addEventListener(kind, stir);
  document.addEventListener("visibilitychange", () => document.hidden || look());
}
document.body.dataset.ready = "true";
