// The Quantise tab: a wizard whose state this browser keeps, so that a reload comes back to the same
// step. The server draws each step from the state; the job's part comes with the page's news.
import { onNews, refresh, view } from "../live.js";
import { morph } from "../morph.js";
import { notices } from "../notices.js";
import { get, post } from "../server.js";

const STORE = "studio.quantize";
const PAUSE_MS = 250;
const LOOK_AGAIN_MS = 20;
const VIEWS = { wizard: "view_wizard", results: "view_results" };
// What a file of text is for: where it is kept, and the fields that hold the kept one and its name.
const FILES = {
  calibration: ["quantize/texts", "own_text", "own_file"],
  evaluation: ["quantize/texts", "evaluation", "evaluation_file"],
  prompts: ["engines/prompts", "own_prompts", "own_prompts_file"],
  compared: ["engines/prompts", "compared", "compared_file"],
};

const root = () => document.getElementById("quantize");
const form = () => document.getElementById("quantize-form");
const { notice, explained } = notices("quantize-notice");

let state = {};
let turn = 0;
let known = "";

export function mountQuantize() {
  const waiting = setInterval(() => {
    if (!root() || !form()) return;
    clearInterval(waiting);
    start();
  }, LOOK_AGAIN_MS);
}

function start() {
  state = JSON.parse(sessionStorage.getItem(STORE) ?? localStorage.getItem(STORE) ?? "{}");
  view.wizard = state.job ?? "";
  const views = document.getElementById("quantize-views");
  for (const [name, title] of Object.entries(VIEWS)) {
    const tab = views.appendChild(document.createElement("button"));
    Object.assign(tab, { type: "button", id: `quantize-go-${name}` });
    tab.setAttribute("role", "tab");
    Object.assign(tab.dataset, { action: "quantize-view", name });
    tab.textContent = window.studioBoot.texts[title];
  }
  showView("wizard");
  listen();
  window.studio.mountQuantizeResults?.();
  new IntersectionObserver(([seen]) => seen.isIntersecting && draw()).observe(root());
  refresh();
}

function listen() {
  let timer = 0;
  const soon = (wait) => {
    clearTimeout(timer);
    timer = setTimeout(draw, wait);
  };
  form().addEventListener("input", ({ target }) => {
    if (target.type === "file") return;
    if (target.name === "model") form().elements.other.value = "";
    take();
    if (target.name === "precision") keep({ level: "" }); // each has a usual level of its own
    if (target.name !== "other") soon(target.type === "radio" ? 0 : PAUSE_MS);
  });
  form().addEventListener("change", ({ target }) => {
    if (target.dataset.text) sendText(target);
    if (target.name === "other") soon(0);
  });
  form().addEventListener("submit", (event) => event.preventDefault());
}

function keep(changes) {
  const model = changes.model !== undefined && changes.model !== state.model;
  const other = changes.other !== undefined && changes.other !== (state.other ?? "");
  if (model || other) changes.job ??= "";
  Object.assign(state, changes);
  view.wizard = state.job ?? "";
  const told = JSON.stringify(state);
  sessionStorage.setItem(STORE, told);
  localStorage.setItem(STORE, told);
}

// What the fields of the step hold.
function take() {
  const fields = {};
  for (const { name, type, value, checked } of form().elements) {
    if (!name || (type === "radio" && !checked)) continue;
    fields[name] = type === "checkbox" ? (checked ? value : "") : value;
  }
  keep(fields);
}

async function draw(more = {}) {
  const mine = ++turn;
  const fields = Object.entries({ ...state, ...more });
  const asked = Object.fromEntries(fields.filter(([, value]) => value !== ""));
  const drawn = await explained(get("quantize/wizard", asked), "wizard");
  if (mine !== turn || !drawn.html) return;
  morph(form(), drawn.html);
  morph(document.getElementById("quantize-steps"), drawn.steps);
  root().dataset.step = drawn.step;
  keep({ step: drawn.step, job: drawn.job });
  root().dataset.ready = "true";
}

async function go(step, changes = {}) {
  notice("");
  keep({ ...changes, step });
  showView("wizard");
  await draw();
  const title = form().querySelector("h2");
  title?.focus({ preventScroll: true });
  title?.scrollIntoView({ block: "nearest" });
}

export function showView(name) {
  root().dataset.view = name;
  for (const tab of document.querySelectorAll("#quantize-views [role=tab]")) {
    tab.setAttribute("aria-selected", tab.dataset.name === name);
  }
}

function showResult(key) {
  window.studio.showQuantizeResult?.(key);
  showView("results");
}

// A text goes to the server at once; the state then names it by what the server calls it.
async function sendText(input) {
  const [file] = input.files;
  input.value = "";
  if (file) await keepText(file, input.dataset.text);
}

async function keepText(file, use) {
  const path = `${FILES[use][0]}/${encodeURIComponent(file.name)}`;
  const { text, own_prompts: prompts } = await explained(post(path, file));
  await chooseText({ text: text ?? prompts, name: file.name }, use);
}

async function chooseText({ text, name }, use) {
  if (!text) return;
  const [, own, called] = FILES[use];
  keep({ [use]: text, [own]: text, [called]: name });
  await draw();
}

// Whether a file that was dropped anywhere on the page is for the wizard.
export function quantizeTakes(files) {
  if (!root()?.checkVisibility()) return false;
  const use = form().querySelector("[data-text]")?.dataset.text;
  if (use) keepText(files[0], use);
  return true;
}

async function busy(button, work) {
  button.disabled = true;
  button.dataset.busy = "true";
  try {
    return await work();
  } finally {
    button.disabled = false;
    delete button.dataset.busy;
  }
}

// The job of the wizard has come to another state.
onNews((_, drawn) => {
  if (!drawn.includes("quantize-run")) return;
  const job = document.querySelector("#quantize-run > .q-job");
  const now = job ? `${job.dataset.job} ${job.dataset.state}` : "";
  if (now === known) return;
  const before = known;
  known = now;
  if (root().checkVisibility()) draw();
  const seen = before.startsWith(`${job?.dataset.job} `);
  if (seen && job.dataset.result) window.studio.showQuantizeResult?.(job.dataset.result);
});

document.addEventListener("studio:show", ({ detail }) => {
  if (detail.kind?.startsWith("quantize")) look(detail.job);
});

// Show a job, with what it was asked for in the steps before.
async function look(job) {
  const fields = await explained(get(`quantize/jobs/${job}`));
  if (!fields.model) return;
  await go("run", { ...fields, job });
  await refresh();
}

export const quantizeActions = {
  "quantize-view": ({ name }) => showView(name),
  "quantize-step": ({ name }) => go(name),
  "quantize-on": ({ name }) => go(name),
  "quantize-look": ({ job }) => look(job),
  "quantize-new": () => go("model", { job: "" }),
  "quantize-fit": ({ recipe, batch, length }) => go("preflight", { recipe, batch, length }),
  "quantize-without": async ({ name }) => {
    keep({ [name]: "", [FILES[name][2]]: "" });
    await draw();
  },
  "quantize-result": ({ result }) => showResult(result),
  "quantize-ask-again": (_, button) => busy(button, () => draw({ ask: "1" })),
  "quantize-ask": async ({ model }, button) => {
    await busy(button, () => explained(post("quantize/hub", { model })));
    await draw();
  },
  "quantize-dataset": async (_, button) => {
    take();
    const kept = await busy(button, () => explained(post("quantize/dataset", state)));
    await chooseText(kept, "calibration");
  },
  "quantize-start": async (_, button) => {
    const { job } = await busy(button, () => explained(post("quantize/start", state)));
    if (!job) return;
    await go("run", { job, replace: "" });
    await refresh();
  },
};
