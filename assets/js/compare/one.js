// One comparison: one's own, followed while its job lives, or a report from a file.
import { morph } from "../morph.js";
import { refresh, view } from "../live.js";
import { get, post } from "../server.js";
import { mountPoll } from "./poll.js";
import { keep, part, root } from "./state.js";
import { drawReport } from "./view.js";

const FOLLOW_MS = 500;

let explained;
let opened = "";
let drawn;
let known = {};
let turn = 0;
let timer = 0;

export function mountOne(notices) {
  explained = notices.explained;
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (isIntersecting && opened) look();
    if (!document.hidden) address();
  }).observe(part("one"));
}

export const openedId = () => opened;

// Everything about the comparison that is drawn; nothing for none.
export async function openOne(id) {
  if (id !== opened) clear();
  opened = id;
  view.comparison = id;
  keep({ open: id });
  address();
  if (!id) return true;
  await Promise.all([look(), refresh()]);
  return Boolean(opened);
}

function clear() {
  turn++;
  known = {};
  drawn?.destroy?.();
  drawn = undefined;
  for (const name of ["head", "run", "poll", "view"]) part(name).replaceChildren();
  delete part("one").dataset.state;
}

// The address of the page leads to it as long as it is looked at.
function address() {
  const now = new URL(location.href);
  if (opened && part("one").checkVisibility()) now.searchParams.set("compare", opened);
  else now.searchParams.delete("compare");
  if (now.href !== location.href) history.replaceState(history.state, "", now);
}

async function look() {
  clearTimeout(timer);
  const mine = ++turn;
  const asked = get(`compare/one/${opened}`, { mark: known.mark ?? "" });
  const told = await explained(asked, "one").catch(() => undefined);
  if (mine !== turn) return;
  if (!told) { // the server is away: the header says so
    timer = setTimeout(look, FOLLOW_MS);
    return;
  }
  if (!told.state) return gone();
  known = told;
  if (told.head !== undefined) morph(part("head"), told.head);
  if (told.report) draw(told.report, (name) => `/files/${opened}/${name}`);
  if (told.state === "succeeded" && !part("poll").childElementCount) mountPoll(part("poll"), opened);
  part("one").dataset.state = told.state;
  if (told.live && part("one").checkVisibility()) timer = setTimeout(look, FOLLOW_MS);
}

// It is there no more, or never was.
function gone() {
  clear();
  opened = "";
  view.comparison = "";
  keep({ open: "" });
  address();
  root().dispatchEvent(new Event("compare:gone"));
}

function draw(report, file) {
  const { language, texts } = window.studioBoot;
  if (drawn) return drawn.update(report);
  drawn = drawReport(part("view"), report, { file, language, texts });
}

// The job has come to another state: what can be done with it changed too.
export const lookAgain = () => opened && look();

// A report that is not of this studio, drawn from its files.
export function showOthers({ head, report, file }) {
  openOne("");
  clear();
  morph(part("head"), head);
  draw(report, file);
}

// `report.json` or `report.html` of somebody else; PNG files that are given with it are its pictures.
export async function readFiles(files) {
  const given = [...files];
  const report = given.find(({ name }) => /\.(json|html?)$/i.test(name)) ?? given[0];
  const told = await explained(post(`compare/read/${encodeURIComponent(report.name)}`, report));
  if (!told.report) return undefined;
  const pictures = new Map(given.map((file) => [file.name, file]));
  const addresses = new Map();
  const file = (name) => {
    if (!addresses.has(name) && pictures.has(name)) {
      addresses.set(name, URL.createObjectURL(pictures.get(name)));
    }
    return addresses.get(name) ?? "";
  };
  return { ...told, file };
}

// The name becomes a field; Enter or leaving it keeps what is in it.
export function renameOne(changed) {
  const heading = part("head").querySelector("h2");
  const before = heading.textContent;
  const input = document.createElement("input");
  Object.assign(input, { value: before, className: "s-field k-rename", maxLength: 200 });
  input.ariaLabel = window.studioBoot.texts.compare_title;
  heading.replaceChildren(input);
  input.select();
  const done = async (title) => {
    if (!input.isConnected) return;
    heading.textContent = title;
    if (title === before) return;
    const { id } = await explained(post("compare/rename", { id: opened, title }));
    if (id === undefined) heading.textContent = before;
    changed();
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") done(input.value.trim() || before);
    if (event.key === "Escape") done(before);
    event.stopPropagation();
  });
  input.addEventListener("blur", () => done(input.value.trim() || before));
}
