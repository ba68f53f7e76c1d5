// Keeps the page up to date: asks for news, draws what changed, and carries on by itself after the
// server was away.
import { morph } from "./morph.js";
import { Refused, get } from "./server.js";

const BUSY_MS = 250;
const IDLE_MS = 1000;
const HIDDEN_MS = 2500;
const AWAY_MS = 500;
const SLOW_MS = 2000;
const PATIENCE_MS = 6000;

const state = {
  pinned: "",
  last: localStorage.getItem("studio.last") ?? "",
  wizard: "",
  comparison: "",
  live: [],
  job: "",
  running: false,
  marks: {},
  empty: "",
};
const listeners = [];
let latest;
let timer = 0;
let turn = 0;
let away = 0;

export const view = state;

export function onNews(listener) {
  listeners.push(listener);
}

// Look at one job, or with no id at whatever runs.
export function show(job = "") {
  state.pinned = job;
  return refresh();
}

export function setEmpty(html) {
  state.empty = html;
  if (!state.job) draw({ stage: "" });
}

export async function refresh() {
  clearTimeout(timer);
  const mine = ++turn;
  const abort = new AbortController();
  const slow = setTimeout(() => connection(false), SLOW_MS);
  const patience = setTimeout(() => abort.abort(), PATIENCE_MS);
  const seen = Object.entries(state.marks).map((pair) => pair.join("."));
  try {
    const { pinned, last, wizard, comparison } = state;
    const query = { pinned, last, wizard, comparison, seen: seen.join(",") };
    const news = await get("live", query, abort.signal);
    if (mine === turn) take(news);
    connection(true);
  } catch (error) {
    if (signedOut(error)) return location.reload();
    connection(false);
  } finally {
    clearTimeout(slow);
    clearTimeout(patience);
    if (mine === turn) plan();
  }
}

// The server forgets who is signed in when it is restarted.
function signedOut(error) {
  return latest && error instanceof Refused && error.status === 403;
}

// Draw news that came by another way, such as the answer to Generate.
export function take(news) {
  latest = news;
  const before = { live: state.live, running: state.running };
  Object.assign(state, { live: news.live, job: news.job, running: news.running });
  if (news.job) {
    state.last = news.job;
    localStorage.setItem("studio.last", news.job);
  }
  const drawn = draw(news.parts);
  for (const name of drawn) state.marks[name] = news.marks[name];
  document.body.toggleAttribute("data-live", news.live.length > 0);
  seeToTheEnd(before.live);
  const share = news.progress;
  document.title = (share === null ? "" : `${Math.round(100 * share)} % · `) + "Spark Studio";
  for (const listener of listeners) listener(before, drawn);
}

// When all is done, the last of the jobs that were live is shown, even one that came and went
// between two looks.
function seeToTheEnd(before) {
  const newest = before.at(-1);
  if (!newest || state.live.length > 0 || state.pinned || state.job === newest) return;
  state.last = newest;
  setTimeout(refresh);
}

function draw(parts) {
  const drawn = [];
  for (const [name, html] of Object.entries(parts)) {
    const target = document.getElementById(name);
    if (!target) continue;
    morph(target, name === "stage" ? html || state.empty : html);
    drawn.push(name);
  }
  return drawn;
}

function plan() {
  clearTimeout(timer);
  const busy = state.live.length > 0;
  if (document.hidden && !busy && !away) return;
  const wait = away ? AWAY_MS : document.hidden ? HIDDEN_MS : busy ? BUSY_MS : IDLE_MS;
  timer = setTimeout(refresh, wait);
}

function connection(up) {
  away = up ? 0 : away + 1;
  const note = document.getElementById("connection");
  if (note) note.textContent = away ? window.studioBoot.texts.reconnecting : "";
}

document.addEventListener("visibilitychange", () => document.hidden || refresh());
addEventListener("online", refresh);
