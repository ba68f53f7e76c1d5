// Past comparisons: the list, and the search in it.
import { morph } from "../morph.js";
import { get } from "../server.js";
import { part } from "./state.js";

const PAUSE_MS = 200;
const PAGE = 30;

let explained;
let limit = PAGE;
let turn = 0;

const search = () => part("search");

export function mountPast(notices) {
  explained = notices.explained;
  const { compare_search: label, compare_more: more, compare_open: open } = window.studioBoot.texts;
  part("past").innerHTML = `<div class="k-tools"><input type="search" id="compare-search"
    class="s-field" autocomplete="off"><label class="s-button s-file"><span></span>
    <input type="file" id="compare-open-file" accept=".json,.html,.png" multiple></label></div>
    <div id="compare-list"></div><button type="button" class="s-button quiet"
    data-action="compare-more" id="compare-more" hidden></button>`;
  Object.assign(search(), { placeholder: label, ariaLabel: label });
  part("more").textContent = more;
  part("past").querySelector(".s-file span").textContent = open;
  let timer = 0;
  search().addEventListener("input", () => {
    clearTimeout(timer);
    limit = PAGE;
    timer = setTimeout(drawPast, PAUSE_MS);
  });
  new IntersectionObserver(([seen]) => seen.isIntersecting && drawPast()).observe(part("past"));
}

export async function drawPast() {
  const mine = ++turn;
  const found = await explained(get("compare/past", { search: search().value, limit }), "past");
  if (mine !== turn || found.html === undefined) return;
  morph(part("list"), found.html);
  part("more").hidden = !found.more;
}

export function morePast() {
  limit += PAGE;
  return drawPast();
}
