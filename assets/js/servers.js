// The panel of servers: what runs, the form that starts one, and the owner's own. The cards come
// with the page's news; the form is drawn when the panel is seen and when something changed.
import { onNews, refresh } from "./live.js";
import { morph } from "./morph.js";
import { notices } from "./notices.js";
import { get, post } from "./server.js";

const PAUSE_MS = 250;
const LOOK_AGAIN_MS = 20;

const panel = () => document.getElementById("chat-servers");
const form = () => document.getElementById("server-form");
const { explained } = notices("servers-notice");

let turn = 0;
let known;
let stale = true;

export function mountServers() {
  const waiting = setInterval(() => {
    if (!panel()) return;
    clearInterval(waiting);
    start();
  }, LOOK_AGAIN_MS);
}

async function start() {
  panel().innerHTML = (await get("servers")).html;
  let timer = 0;
  form().addEventListener("input", ({ target }) => {
    clearTimeout(timer);
    if (target.type !== "text") timer = setTimeout(drawForm, target.type === "number" ? PAUSE_MS : 0);
  });
  form().addEventListener("change", ({ target }) => {
    if (target.name === "model") form().elements.other.value = "";
    if (target.type === "text") drawForm();
  });
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    startServer(fields());
  });
  new IntersectionObserver(([seen]) => seen.isIntersecting && opened()).observe(panel());
  await refresh();
}

async function opened() {
  drawOutside();
  if (stale) await drawForm();
  panel().dataset.ready = "true";
}

function fields() {
  return Object.fromEntries(new FormData(form()));
}

async function drawForm(asked = fields()) {
  const mine = ++turn;
  stale = false;
  const { html } = await explained(get("servers/form", asked), "form");
  if (mine === turn && html) morph(form(), html);
}

// The form with a model in it: one of the list, or a folder.
export async function offerModel(model) {
  while (!form()) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  await drawForm(model.startsWith("/") ? { other: model } : { model });
}

async function drawOutside() {
  const { html } = await explained(get("servers/outside"), "outside");
  if (html) morph(document.getElementById("server-outside"), html);
}

async function startServer(body) {
  await explained(post("servers/start", body));
  await refresh();
}

// Whoever shows servers hears of it when one comes, goes, or is in another phase.
onNews((_, drawn) => {
  if (!drawn.includes("servers")) return;
  const cards = [...document.querySelectorAll("#servers > [data-phase]")];
  const now = cards.map(({ dataset }) => `${dataset.key} ${dataset.phase}`).join();
  if (now === known) return;
  known = now;
  stale = true;
  if (panel().checkVisibility() && form().elements.model) drawForm();
  document.dispatchEvent(new Event("studio:servers"));
});

export const serverActions = {
  "server-start": ({ model, server }) => startServer({ model, server }),
  "server-stop": async ({ key, job }) => {
    await explained(post("servers/stop", { key }));
    if (job) await explained(post(`jobs/${job}/delete`));
    await refresh();
  },
};
