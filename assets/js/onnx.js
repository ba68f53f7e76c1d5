// The section for any ONNX file: what it asks of the server, and what the server draws of it. Which
// jobs it looks at is kept, so that a reload or a restart loses nothing.
import { morph } from "./morph.js";
import { notices } from "./notices.js";
import { get, post } from "./server.js";

const STORE = "studio.onnx";
const PARTS = ["source", "look", "build", "run"];
const BUSY_MS = 300;
const AWAY_MS = 1000;
const LOOK_AGAIN_MS = 20;
// What an empty field is sent as; the server explains why it cannot be.
const NONE = -1;

const jobs = { look: "", build: "", run: "" };
let marks = {};
let timer = 0;
let turn = 0;

const part = (name) => document.getElementById(`onnx-${name}`);
const { explained } = notices("onnx-notice");

export function mountOnnx() {
  const waiting = setInterval(() => {
    if (!PARTS.every(part)) return;
    clearInterval(waiting);
    start(document.getElementById("onnx"));
  }, LOOK_AGAIN_MS);
}

function start(section) {
  Object.assign(jobs, JSON.parse(sessionStorage.getItem(STORE) ?? "{}"));
  marks = {};
  section.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(event.target);
  });
  section.addEventListener("change", (event) => {
    if (event.target.id === "onnx-upload") upload(event.target);
  });
  new IntersectionObserver(([seen]) => seen.isIntersecting && refresh()).observe(section);
}

async function submit(form) {
  const fields = Object.fromEntries(new FormData(form));
  const asks = {
    "onnx-source": () => ask("look", "onnx/look", fields, ["build", "run"]),
    "onnx-form": () =>
      ask("build", "onnx/build", { ...fields, look: jobs.look, sizes: sizesOf(form) }, ["run"]),
    "onnx-run-form": () =>
      ask("run", "onnx/run", { ...fields, seed: seedOf(fields), engine: form.dataset.engine }),
  };
  await asks[form.id]?.();
}

async function ask(name, path, body, outdated = []) {
  const answer = await explained(post(path, body));
  if (!answer.job) return;
  jobs[name] = answer.job;
  for (const other of outdated) jobs[other] = "";
  sessionStorage.setItem(STORE, JSON.stringify(jobs));
  await refresh();
}

function seedOf({ seed }) {
  return /^\d+$/.test(seed) ? Number(seed) : NONE;
}

function sizesOf(form) {
  const sizes = {};
  for (const input of form.querySelectorAll("[data-dimension]")) {
    const size = input.valueAsNumber;
    (sizes[input.dataset.dimension] ??= []).push(Number.isInteger(size) ? size : NONE);
  }
  return sizes;
}

async function upload(input) {
  for (const file of input.files) {
    const done = await explained(post(`onnx/files/${encodeURIComponent(file.name)}`, file));
    if (!done.file) break;
    if (done.file.endsWith(".onnx")) part("source").elements.file.value = done.file;
  }
  input.value = "";
  await refresh();
}

async function refresh() {
  clearTimeout(timer);
  const mine = ++turn;
  const seen = Object.entries(marks).map((pair) => pair.join(".")).join(",");
  let news;
  try {
    news = await get("onnx/state", { ...jobs, seen });
  } catch {
    if (mine === turn) timer = setTimeout(refresh, AWAY_MS);
    return;
  }
  if (mine !== turn) return;
  for (const [name, html] of Object.entries(news.parts)) morph(part(name), html);
  marks = news.marks;
  document.getElementById("onnx").dataset.ready = "true";
  if (news.live) timer = setTimeout(refresh, BUSY_MS);
}
