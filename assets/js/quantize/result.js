// Results of quantising: the list, one of them, and what its buttons do.
import { openTab } from "../actions.js";
import { chatWith } from "../chat/chat.js";
import { findEngines } from "../engines.js";
import { morph } from "../morph.js";
import { notices } from "../notices.js";
import { pick } from "../picker.js";
import { get, post } from "../server.js";

const LOOK_AGAIN_MS = 1000;
const FRAME = `<div id="result-notice" class="s-notice"></div><div id="result-list"></div>
  <div id="result-one"></div>`;

const { notice, explained } = notices("result-notice");
const root = () => document.getElementById("quantize-results");
const one = () => document.getElementById("result-one");

let chosen = "";
let turn = 0;

export function mountQuantizeResults() {
  root().innerHTML = FRAME;
  root().dataset.mode = "list";
  one().addEventListener("submit", (event) => {
    event.preventDefault();
    push(event.target);
  });
  new IntersectionObserver(([seen]) => seen.isIntersecting && opened()).observe(root());
}

function opened() {
  return chosen ? drawOne() : drawList();
}

async function drawList() {
  const mine = ++turn;
  const { html, count } = await explained(get("results"), "list");
  if (mine !== turn || html === undefined) return;
  morph(document.getElementById("result-list"), html);
  root().dataset.results = count;
}

export async function showQuantizeResult(key) {
  chosen = key;
  root().dataset.mode = "one";
  if (one().firstElementChild?.dataset.key !== key) one().replaceChildren();
  notice("");
  await drawOne();
}

async function drawOne() {
  const mine = ++turn;
  const { html, key } = await explained(get("results/one", { key: chosen }), "one");
  if (mine !== turn) return;
  if (html === undefined) return back();
  chosen = key;
  morph(one(), html);
}

function back() {
  chosen = "";
  root().dataset.mode = "list";
  return drawList();
}

async function push(form) {
  const { key } = form.dataset;
  const { repo, private: hidden, existing } = form.elements;
  const body = { key, repo: repo.value, private: hidden.checked, existing: existing.checked };
  const { job } = await explained(post("results/push", body));
  if (job) await followPush(job, key);
}

// How the upload stands, as long as its checkpoint is looked at.
async function followPush(job, key) {
  const { live, html } = await explained(get(`results/push/${job}`), "push");
  if (html === undefined || chosen !== key) return;
  const card = document.getElementById("result-push");
  if (card) morph(card, html);
  if (live) setTimeout(() => followPush(job, key), LOOK_AGAIN_MS);
}

export const resultActions = {
  "result-show": ({ key }) => showQuantizeResult(key),
  "result-back": () => {
    notice("");
    return back();
  },
  "result-chat": ({ model }) => chatWith(model),
  "result-try": ({ variant }) => {
    openTab("images");
    pick(variant);
  },
  "result-engines": ({ model }) => {
    openTab("engines");
    findEngines(model);
  },
  "result-go": ({ part }) => one().querySelector(`[data-part="${part}"]`).scrollIntoView(),
  "result-agree": async ({ key }, button) => {
    button.disabled = true;
    await explained(post("results/agree", { key }));
    button.disabled = false;
    await drawOne();
  },
  "result-delete": async ({ key }) => {
    const { html } = await explained(post("results/delete", { key }));
    if (!html) return;
    await back();
    notice(html);
  },
};
