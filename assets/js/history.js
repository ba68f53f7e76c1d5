// The list of one's own jobs at the side, and the search in it.
import { morph } from "./morph.js";
import { get } from "./server.js";

const PAGE = 30;
const PAUSE_MS = 200;
let limit = PAGE;
let turn = 0;

const search = () => document.getElementById("history-search");

export function mountHistory() {
  const { history, search: label } = window.studioBoot.texts;
  document.getElementById("history-title").textContent = history;
  Object.assign(search(), { placeholder: label, ariaLabel: label });
  let timer = 0;
  search().addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      limit = PAGE;
      drawHistory();
    }, PAUSE_MS);
  });
  drawHistory();
}

export async function drawHistory() {
  const target = document.getElementById("history");
  if (!target) return;
  const mine = ++turn;
  const { html } = await get("history", { search: search().value, limit });
  if (mine === turn) morph(target, html);
}

export function showMore() {
  limit += PAGE;
  return drawHistory();
}
