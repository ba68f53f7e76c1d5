// The Compare tab: its views, and what its buttons do.
import { openTab } from "../actions.js";
import { drawHistory } from "../history.js";
import { onNews, refresh } from "../live.js";
import { notices } from "../notices.js";
import { post } from "../server.js";
import { asNew, drawForm, dropPrompts, mountForm, startComparison, withoutPrompts } from "./form.js";
import { lookAgain, mountOne, openOne, openedId, readFiles, renameOne, showOthers } from "./one.js";
import { drawPast, morePast, mountPast } from "./past.js";
import { keep, part, readState, root, state } from "./state.js";
import { dropSide, mountTwo } from "./two.js";

const VIEWS = { new: "compare_view_new", past: "compare_view_past", two: "compare_view_two" };
const MODES = { pictures: "compare_mode_pictures", text: "compare_mode_text" };
const REPORT = /\.(json|html?|png)$/i;
const LOOK_AGAIN_MS = 20;

const cards = notices("compare-notice");
const { notice, explained } = cards;

export function mountCompare() {
  const waiting = setInterval(() => {
    if (!root() || !part("form")) return;
    clearInterval(waiting);
    start();
  }, LOOK_AGAIN_MS);
}

function start() {
  readState();
  const { texts } = window.studioBoot;
  part("views").innerHTML = Object.entries(VIEWS).map(([name, title]) => `<button type="button" role="tab"
    id="compare-go-${name}" data-action="compare-view" data-name="${name}">
    ${texts[title]}</button>`).join("");
  part("modes").ariaLabel = texts.compare_modes;
  part("modes").innerHTML = Object.entries(MODES).map(([name, title]) => `<label><input type="radio" name="compare-mode"
    value="${name}"><span>${texts[title]}</span></label>`).join("");
  part("modes").addEventListener("change", ({ target }) => {
    keep({ mode: target.value });
    drawForm();
  });
  for (const mount of [mountForm, mountOne, mountPast, mountTwo]) mount(cards);
  part("open-file").addEventListener("change", async ({ target }) => {
    const files = [...target.files];
    target.value = "";
    if (files.length) await openFiles(files);
  });
  root().addEventListener("compare:gone", () => showView("past"));
  document.addEventListener("studio:servers", () => seenForm() && drawForm());
  new IntersectionObserver(([seen]) => seen.isIntersecting && seenForm() && drawForm()).observe(root());
  const wanted = new URL(location.href).searchParams.get("compare");
  showView(wanted ? "one" : state.view === "one" && !state.open ? "new" : (state.view ?? "new"));
  if (wanted ?? state.open) openOne(wanted ?? state.open);
  drawForm();
}

const seenForm = () => part("form").checkVisibility();

function showView(name) {
  root().dataset.view = name;
  keep({ view: name });
  const from = name === "one" ? "past" : name;
  for (const tab of part("views").children) {
    tab.setAttribute("aria-selected", tab.dataset.name === from);
  }
}

// The comparison that the page's address names; Gradio makes the tab only when it is opened.
export function reopenCompare() {
  if (new URL(location.href).searchParams.has("compare")) openTab("compare");
}

async function open(id) {
  notice("");
  openTab("compare");
  while (!root()?.dataset.ready) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  showView("one");
  if (await openOne(id)) part("head").querySelector("h2")?.focus({ preventScroll: true });
}

async function openFiles(files) {
  const told = await readFiles(files);
  if (!told) return;
  showView("one");
  showOthers(told);
}

// Files that were dropped: prompts for the form, else reports.
export function compareTakes(files) {
  if (!root()?.checkVisibility()) return false;
  if (root().dataset.view === "new") dropPrompts(files[0]);
  else if (root().dataset.view === "two") dropSide(files);
  else if ([...files].some(({ name }) => REPORT.test(name))) openFiles([...files]);
  return true;
}

// The form with these fields in it.
async function prepare(fields) {
  openTab("compare");
  while (!root()?.dataset.ready) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  keep(fields);
  notice("");
  showView("new");
  await drawForm();
}

// The job of the open comparison has come to another state.
let known = "";
onNews((_, drawn) => {
  if (!drawn.includes("compare-run")) return;
  const card = document.querySelector("#compare-run > .k-run");
  const now = `${openedId()} ${card?.dataset.state ?? ""}`;
  if (now !== known) lookAgain();
  known = now;
});

document.addEventListener("studio:show", ({ detail }) => {
  if (detail.kind?.startsWith("compare")) open(detail.job);
});

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

export const compareActions = {
  "compare-view": ({ name }) => {
    notice("");
    showView(name);
    if (name === "new") drawForm();
  },
  "compare-start": async (_, button) => {
    const job = await busy(button, startComparison);
    if (job) await open(job);
  },
  "compare-without": ({ before }) => withoutPrompts(before),
  "compare-fetch": async ({ model }, button) => {
    await busy(button, () => explained(post("fetch", { model })));
    await refresh();
  },
  "compare-quantise": () => openTab("quantize"),
  "compare-open": ({ id }) => open(id),
  "compare-more": morePast,
  "compare-back": () => {
    notice("");
    showView("past");
    return openOne("");
  },
  "compare-rename": () => renameOne(() => Promise.all([drawPast(), drawHistory()])),
  "compare-repeat": async ({ id }, button) => {
    const { job } = await busy(button, () => explained(post("compare/repeat", { id })));
    if (job) await open(job);
  },
  "compare-as-new": async ({ id }) => {
    if (!(await asNew(id))) return;
    showView("new");
    await drawForm();
  },
  "compare-delete": async ({ id }) => {
    const done = await explained(post("compare/delete", { id }));
    if (done.id === undefined) return;
    if (id === openedId()) await openOne("");
    showView("past");
    await Promise.all([drawPast(), drawHistory()]);
  },
  "compare-blind": () => part("poll").scrollIntoView({ block: "start" }),
  "compare-with": ({ fields }) => prepare(JSON.parse(fields)),
};
