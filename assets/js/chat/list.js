// The list of conversations: search, rename in place, delete, bring in from a file.
import { morph } from "../morph.js";
import { get, post } from "../server.js";

const PAUSE_MS = 200;
const PAGE = 50;

let looks = 0;
let limit = PAGE;
let opened = () => "";

const list = () => document.getElementById("chat-list");
const search = () => document.getElementById("chat-search");

export function mountList(current) {
  opened = current;
  let timer = 0;
  search().addEventListener("input", () => {
    limit = PAGE;
    clearTimeout(timer);
    timer = setTimeout(drawList, PAUSE_MS);
  });
}

export async function drawList() {
  const mine = ++looks;
  const query = { search: search().value, limit, opened: opened() };
  const { html } = await get("chat/conversations", query);
  if (mine === looks && !list().querySelector("input")) morph(list(), html);
}

export function moreOfList() {
  limit += PAGE;
  return drawList();
}

// The title becomes a field: Enter or leaving it keeps what was typed, Escape what was there.
export function rename(conversation, explained, renamed) {
  const entry = list().querySelector(`[data-key="${conversation}"]`);
  const button = entry.querySelector(".c-open");
  const field = document.createElement("input");
  Object.assign(field, { value: button.querySelector("span").textContent, maxLength: 80 });
  field.className = "s-field";
  field.ariaLabel = entry.querySelector("[data-action=chat-rename]").ariaLabel;
  button.replaceWith(field);
  field.focus();
  field.select();
  let over = false;
  const end = async (keep) => {
    if (over) return;
    over = true;
    const title = field.value.trim();
    field.replaceWith(button);
    if (keep && title) {
      const path = `chat/conversations/${conversation}/title`;
      const done = await explained(post(path, { title }));
      if (done.title !== undefined) renamed(conversation, done.title);
    }
    await drawList();
    button.focus();
  };
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter") end(true);
    if (event.key === "Escape") end(false);
  });
  field.addEventListener("blur", () => end(true));
}

export async function bringIn(file, explained) {
  const { conversation } = await explained(post("chat/import", file));
  return conversation;
}
