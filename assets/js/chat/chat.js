// The Chat tab: which conversation is open, and what its buttons do.
import { openTab } from "../actions.js";
import { copyOut } from "../clipboard.js";
import { refresh } from "../live.js";
import { notices } from "../notices.js";
import { get, post } from "../server.js";
import { mountServers, offerModel } from "../servers.js";
import { columnOf, drawColumns, drawEmpty, drawMeter, mountColumns, writing } from "./columns.js";
import {
  addPictures, allowPictures, cancelEdit, edit, look, mountComposer, setCompletion, setText,
} from "./composer.js";
import { bringIn, drawList, moreOfList, mountList, rename } from "./list.js";
import {
  anyReady, chooseServerOf, chosenKnown, chosenServers, drawMark, drawPickers, emptyHtml,
  outsideUnreached, readPickers, rememberServers,
} from "./pickers.js";
import { completes, fill, limitSettings, mountSettings, readSettings, remember, settingsRefused } from "./settings.js";
import { leaveAnswers } from "./stream.js";

const OPEN = "studio.chat.open";
const TAB = "studio.chat.tab";
const FOLD = "studio.chat.fold";
const PANEL = "studio.chat.panel.";
const PANELS = { house: "go-house", settings: "go-tune" };
const LOOK_AGAIN_MS = 20;
const AGAIN_MS = 5000;
const NARROW = "(max-width: 760px)";

const { notice, explained } = notices("chat-notice");
const root = () => document.getElementById("chat");
const part = (name) => document.getElementById(`chat-${name}`);

let opened = "";
let count = 1;
let turn = 0;
let mounted = false;
let looked = false;
let again = 0;

export function mountChat() {
  const waiting = setInterval(() => {
    if (!part("composer") || !part("settings")) return;
    clearInterval(waiting);
    start();
  }, LOOK_AGAIN_MS);
}

async function start() {
  const { column, ...parts } = await get("chat/frame");
  for (const [id, html] of Object.entries(parts)) document.getElementById(id).innerHTML = html;
  mountColumns(column, { ended, lost: () => open(opened), picked });
  mountComposer({ send, stop });
  mountSettings(() => setCompletion(completes()));
  mountList(() => opened);
  listen();
  const folded = localStorage.getItem(FOLD) ?? (matchMedia(NARROW).matches ? "closed" : "open");
  root().dataset.fold = folded;
  drawEmpty("", 1);
  drawTop("");
  mounted = true;
  await Promise.all([chatChanged(), drawList()]);
  if (!window.studioBoot.visitor) mountServers();
  const last = sessionStorage.getItem(OPEN);
  if (last) await open(last);
  root().dataset.ready = "true";
}

function listen() {
  document.addEventListener("studio:servers", async () => {
    await chatChanged();
    const failed = document.querySelector('#servers > [data-phase="failed"]');
    if (failed && !anyReady()) panel("house", true);
  });
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (isIntersecting) {
      measure();
      chatChanged();
      sessionStorage.setItem(TAB, "open");
    } else if (!document.hidden && !root().checkVisibility()) sessionStorage.removeItem(TAB);
  }).observe(root());
  part("import").addEventListener("change", ({ target }) => {
    take(target.files);
    target.value = "";
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && part("export").open) part("export").open = false;
  });
  part("main").addEventListener("click", ({ target }) => {
    const outside = matchMedia(NARROW).matches && !target.closest("#chat-top");
    if (outside) root().dataset.fold = "closed";
  });
  new ResizeObserver(measure).observe(document.getElementById("bar"));
}

// A reload leads back to this tab; Gradio makes it only now.
export function reopenChat() {
  if (sessionStorage.getItem(TAB)) openTab("chat");
}

// The tab with a model: its server where one is ready, else the form that starts one.
export async function chatWith(model) {
  openTab("chat");
  while (!root()?.dataset.ready) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  await chatChanged();
  const picker = chooseServerOf(model);
  if (picker) return picked(columnOf(picker));
  await offerModel(model);
  panel("house", true);
}

// The tab fills the window below what is above it.
function measure() {
  const top = root().getBoundingClientRect().top + scrollY;
  if (root().checkVisibility()) root().style.setProperty("--c-top", `${top}px`);
}

// Servers may have come or gone. One that runs elsewhere tells nobody: it is asked again.
export async function chatChanged() {
  if (!mounted) return;
  const news = await readPickers();
  clearTimeout(again);
  if (outsideUnreached() && root().checkVisibility()) again = setTimeout(chatChanged, AGAIN_MS);
  if (!news) return;
  if (!looked) restorePanels();
  looked = true;
  showPickers();
  if (!opened) drawEmpty(emptyHtml(), count);
}

function showPickers(wanted) {
  drawPickers(wanted, Boolean(opened));
  const servers = chosenKnown();
  limitSettings(servers);
  setCompletion(completes());
  allowPictures(servers.length > 0 && servers.every(({ images }) => images));
}

async function picked(column) {
  drawMark(column.querySelector(".c-picker"));
  showPickers();
  rememberServers();
  if (!opened) return;
  await explained(post("chat/settings", asking()));
  await drawMeters();
}

function asking() {
  return { conversation: opened, servers: chosenServers(), ...readSettings() };
}

async function open(conversation) {
  const mine = ++turn;
  const whole = await explained(get(`chat/conversations/${conversation}`));
  if (mine !== turn) return;
  if (!whole.columns) return begin(count);
  leaveAnswers();
  cancelEdit();
  draw(whole);
  fill(whole.settings[0]);
  showPickers(whole.settings.map(({ server }) => server));
  await drawList();
}

// A conversation that begins with the next question.
function begin(columns) {
  turn++;
  opened = "";
  count = columns;
  sessionStorage.removeItem(OPEN);
  cancelEdit();
  drawEmpty(emptyHtml(), count);
  showPickers();
  drawTop("");
  look(false);
  return drawList();
}

function draw({ conversation, title, columns }) {
  opened = conversation;
  count = columns.length;
  sessionStorage.setItem(OPEN, opened);
  drawColumns(columns);
  drawTop(title);
  look(writing().length > 0);
}

function drawTop(title) {
  part("title").textContent = title;
  part("go-pair").ariaPressed = String(count > 1);
  part("export").hidden = !opened;
  for (const kind of ["md", "json"]) {
    part(`export-${kind}`).href = `/studio/chat/conversations/${opened}/export/${kind}`;
  }
}

async function send(said) {
  if (settingsRefused()) return false;
  const done = await explained(post("chat/say", { ...asking(), ...said }));
  if (!done.columns) return false;
  turn++;
  draw(done);
  panel("house", false);
  remember();
  rememberServers();
  drawList();
  return true;
}

async function stop() {
  await Promise.all(writing().map(({ dataset }) => explained(post(`chat/answers/${dataset.turn}/stop`))));
}

async function ended() {
  look(writing().length > 0);
  await Promise.all([drawMeters(), drawList()]);
}

async function drawMeters() {
  for (const column of document.querySelectorAll("#chat-columns > [data-conversation]")) {
    const { html } = await get(`chat/conversations/${column.dataset.conversation}/meter`);
    drawMeter(column, html);
  }
}

function panel(name, shown = part(name).hidden) {
  part(name).hidden = !shown;
  part(PANELS[name]).ariaExpanded = String(shown);
  sessionStorage.setItem(PANEL + name, shown ? "open" : "closed");
}

// As they were before a reload; else the servers are shown while none can be asked.
function restorePanels() {
  const was = (name) => sessionStorage.getItem(PANEL + name);
  part("house").hidden = was("house") !== "open";
  part("settings").hidden = was("settings") !== "open";
  for (const [name, button] of Object.entries(PANELS)) {
    part(button).ariaExpanded = String(!part(name).hidden);
  }
}

// A file for the open tab: a picture to ask about, or a conversation to bring in.
export function chatTakes(files) {
  if (!root()?.checkVisibility()) return false;
  take(files);
  return true;
}

async function take(files) {
  if ([...files].every(({ type }) => type.startsWith("image/"))) {
    if (!addPictures(files)) {
      const card = document.createElement("p");
      card.className = "s-card";
      card.textContent = window.studioBoot.texts.chat_no_pictures;
      notice(card.outerHTML);
    }
    return;
  }
  const conversation = await bringIn(files[0], explained);
  if (conversation) await open(conversation);
}

const textOf = ({ conversation, turn: id }, kind) =>
  explained(get(`chat/conversations/${conversation}/turns/${id}/${kind}`));

export const chatActions = {
  "chat-new": () => {
    notice("");
    return begin(count);
  },
  "chat-open": async ({ conversation }) => {
    notice("");
    if (matchMedia(NARROW).matches) root().dataset.fold = "closed";
    await open(conversation);
  },
  "chat-more": moreOfList,
  "chat-rename": ({ conversation }) =>
    rename(conversation, explained, (id, title) => id === opened && drawTop(title)),
  "chat-delete": async ({ conversation }) => {
    await explained(post(`chat/conversations/${conversation}/delete`));
    if (conversation === opened) await begin(1);
    else await drawList();
  },
  "chat-fold": () => {
    root().dataset.fold = root().dataset.fold === "open" ? "closed" : "open";
    localStorage.setItem(FOLD, root().dataset.fold);
  },
  "chat-pair": () => begin(count > 1 ? 1 : 2),
  "chat-house": ({ open: force }) => panel("house", force ? true : undefined),
  "chat-start": async ({ model, server }, button) => {
    button.disabled = true;
    await explained(post("servers/start", { model, server }));
    await refresh();
    button.disabled = false;
  },
  "chat-tune": () => panel("settings"),
  "chat-example": ({ prompt }) => setText(prompt),
  "chat-stop": stop,
  // At once, from what is shown: who types on must not be sent as a new question meanwhile.
  "chat-edit": ({ turn: id }, button) => {
    const article = button.closest(".c-turn");
    const pictures = [...article.querySelectorAll("img")].map(({ src }) => src);
    edit(id, article.querySelector(".c-said").textContent, pictures);
  },
  "chat-edit-cancel": cancelEdit,
  "chat-copy": async ({ kindOf, ...where }, button) => {
    const { text } = await textOf(where, kindOf);
    if (text !== undefined) await copyOut(text, button);
  },
  "chat-again": async ({ turn: id }) => {
    if (settingsRefused()) return;
    const done = await explained(post("chat/again", { ...asking(), turn: id }));
    if (done.columns) draw(done);
  },
  "chat-version": async ({ turn: id }) => {
    const path = `chat/conversations/${opened}/version`;
    const done = await explained(post(path, { turn: id }));
    if (done.columns) draw(done);
  },
};
