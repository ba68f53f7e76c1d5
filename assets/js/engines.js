// The Engines tab: the build form with what it will need, the list, and what its buttons do.
import { morph } from "./morph.js";
import { notices } from "./notices.js";
import { get, post } from "./server.js";
import { drawStorage } from "./storage.js";

const PAUSE_MS = 250;
const VIEWS = ["list", "storage"];

export const { notice, explained } = notices("engine-notice");

const root = () => document.getElementById("engines");
const form = () => document.getElementById("engine-form");
const list = () => document.getElementById("engine-list");

let stale = true;
let turn = 0;
let looks = 0;
let filled = "";
let wanted = "";

export function mountEngines() {
  const waiting = setInterval(() => {
    if (!root() || !form() || !document.getElementById("engine-views")) return;
    clearInterval(waiting);
    start();
  }, 20);
}

function start() {
  const { texts } = window.studioBoot;
  const titles = { list: texts.view_list, onnx: texts.view_onnx, storage: texts.view_storage };
  const more = [...document.querySelectorAll("[id^=engine-view-]")].map((one) => one.id.slice(12));
  const views = [VIEWS[0], ...more, VIEWS[1]];
  document.getElementById("engine-views").innerHTML = views
    .map(
      (name) =>
        `<button type="button" role="tab" data-action="engine-view" data-name="${name}"
          id="engine-go-${name}"><span></span></button>`,
    )
    .join("");
  for (const name of views) {
    document.querySelector(`#engine-go-${name} span`).textContent = titles[name];
  }
  showView("list");
  let timer = 0;
  form().addEventListener("input", (event) => {
    if (event.target.type === "file") return;
    notice("");
    clearTimeout(timer);
    timer = setTimeout(drawForm, event.target.type === "number" ? PAUSE_MS : 0);
  });
  form().addEventListener("change", (event) => {
    if (event.target.type === "file") sendPrompts(event.target);
  });
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    build();
  });
  list().addEventListener("input", filter);
  new IntersectionObserver(([seen]) => seen.isIntersecting && refreshEngines()).observe(root());
}

// Engines or what is in memory may have changed: look again now, or when the tab is next seen.
export function enginesChanged() {
  stale = true;
  if (root()?.checkVisibility()) refreshEngines();
}

async function refreshEngines() {
  if (!stale) return;
  stale = false;
  await Promise.all([drawForm(), drawEngines()]);
  root().dataset.ready = "true";
}

export async function drawEngines() {
  const mine = ++looks;
  const { html, count } = await get("engines");
  if (mine !== looks) return;
  morph(list(), html);
  const search = document.getElementById("engine-search");
  if (search && wanted) [search.value, wanted] = [wanted, ""];
  filter();
  root().dataset.engines = count;
}

function fields() {
  return Object.fromEntries(new FormData(form()));
}

// A file of prompts goes to the server at once; the form then names it by what the server calls it.
async function sendPrompts(input) {
  const [file] = input.files;
  if (!file) return;
  const kept = await explained(post(`engines/prompts/${encodeURIComponent(file.name)}`, file));
  input.value = "";
  if (kept.own_prompts) await choosePrompts(kept.own_prompts);
}

function choosePrompts(digest) {
  form().elements.own_prompts.value = digest;
  return drawForm();
}

async function drawForm() {
  const mine = ++turn;
  const { html } = await explained(get("engines/form", fields()), "form");
  if (mine === turn && html && html !== filled) {
    filled = html;
    morph(form(), html);
  }
}

// Show the engines whose rows hold these words.
export function findEngines(words) {
  wanted = words;
  showView("list");
  return drawEngines();
}

// Rows that hold all the words and stand as chosen; a group without any is not shown.
function filter() {
  const words = (document.getElementById("engine-search")?.value ?? "").toLowerCase().split(/\s+/);
  const state = document.getElementById("engine-state")?.value ?? "";
  let found = 0;
  for (const group of list().querySelectorAll(".e-group")) {
    let shown = 0;
    for (const row of group.querySelectorAll("tr[data-text]")) {
      const fits = words.every((word) => row.dataset.text.includes(word));
      row.hidden = !(fits && (!state || row.dataset.state === state));
      shown += !row.hidden;
    }
    group.hidden = shown === 0;
    found += shown;
  }
  const none = list().querySelector(".e-none");
  if (none) none.hidden = found > 0;
}

let look = () => {};

async function build() {
  await explained(post("engines/build", fields()));
  showView("list");
  await look();
}

export function showView(name) {
  root().dataset.view = name;
  for (const tab of document.querySelectorAll("#engine-views [role=tab]")) {
    const chosen = tab.dataset.name === (name === "inspect" ? "list" : name);
    tab.setAttribute("aria-selected", chosen);
  }
  notice("");
  if (name === "storage") drawStorage();
}

export function engineActions({ show }) {
  look = show;
  const each = async (ids, action) => {
    for (const id of ids.split(" ")) await explained(post(`engines/${action}/${id}`));
    enginesChanged();
    await look();
  };
  return {
    "engine-view": ({ name }) => showView(name),
    "engine-prompts": () => choosePrompts(""),
    "engine-load": async ({ key }) => {
      await explained(post("engines/load", { key }));
      await look();
    },
    "engine-complete": async ({ key, target }) => {
      await explained(post("engines/complete", { key, target }));
      await look();
    },
    "engine-rebuild": ({ ids }) => each(ids, "rebuild"),
    "engine-delete": ({ ids }) => each(ids, "delete"),
  };
}
