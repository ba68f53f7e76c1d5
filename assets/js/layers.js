// The page about one engine. Its table may have thousands of layers: only the rows in sight are in
// the document.
import { explained, notice, showView } from "./engines.js";
import { get, post } from "./server.js";

const ROW_PX = 26;
const SPARE_ROWS = 12;
const LOOK_AGAIN_MS = 300;
const UNITS = ["B", "KiB", "MiB", "GiB"];

const inspected = () => document.getElementById("engine-inspect");

let engine = "";
let sides = { before: [], after: [] };
let side = "before";
let rows = [];
let order = { column: 0, down: false };
let from = null;

export const layerActions = {
  "engine-inspect": ({ id }, button) => {
    from = button;
    return inspect(id);
  },
  "engine-back": () => {
    showView("list");
    from?.focus();
  },
  "engine-side": ({ side: chosen }) => turn(chosen),
  "engine-times": async ({ id, busy }, button) => {
    const label = button.querySelector("span");
    const before = label.textContent;
    button.disabled = true;
    label.textContent = busy;
    try {
      const { job } = await explained(post(`engines/times/${id}`));
      const told = job && (await ended(job));
      if (told && engine === id) await inspect(id, "after");
      if (told?.html) notice(told.html);
    } finally {
      button.disabled = false;
      label.textContent = before;
    }
  },
};

async function ended(job) {
  for (;;) {
    const told = await get(`engines/times/${job}`);
    if (!told.live) return told;
    await new Promise((resume) => setTimeout(resume, LOOK_AGAIN_MS));
  }
}

function turn(chosen) {
  side = chosen;
  for (const button of document.querySelectorAll(".e-switch button")) {
    button.setAttribute("aria-pressed", button.dataset.side === side);
  }
  arrange();
}

async function inspect(id, first = "before") {
  engine = id;
  const { html, before, after } = await explained(get(`engines/view/${id}`));
  if (html === undefined || engine !== id) return;
  sides = { before: numbered(before), after: numbered(after) };
  order = { column: 0, down: false };
  inspected().innerHTML = html;
  showView("inspect");
  const body = document.getElementById("layer-rows");
  body.addEventListener("scroll", () => requestAnimationFrame(draw));
  document.getElementById("layer-search").addEventListener("input", arrange);
  for (const head of inspected().querySelectorAll("[data-sort]")) {
    head.addEventListener("click", () => sortBy(Number(head.dataset.sort)));
  }
  turn(first);
  if (first === "after") return;
  scrollTo({ top: 0 });
  document.getElementById("inspect-title").focus({ preventScroll: true });
}

// place, kind, torch layer, precision, shapes, bytes of weights, ms, name, parts, words to search
function numbered(layers) {
  return layers.map(([name, kind, layer, precision, shapes, bytes, parts, ms], place) => {
    const words = `${name} ${kind} ${layer} ${precision} ${shapes} ${parts}`.toLowerCase();
    return [place + 1, kind, layer, precision, shapes, bytes, ms ?? 0, name, parts, words];
  });
}

function sortBy(column) {
  order = { column, down: order.column === column ? !order.down : column >= 5 };
  arrange();
}

function arrange() {
  const words = document.getElementById("layer-search").value.toLowerCase().split(/\s+/);
  const { column, down } = order;
  rows = sides[side].filter((row) => words.every((word) => row[9].includes(word)));
  rows.sort((a, b) => {
    const difference = typeof a[column] === "number"
      ? a[column] - b[column]
      : a[column].localeCompare(b[column], "en");
    return (down ? -difference : difference) || a[0] - b[0];
  });
  for (const head of inspected().querySelectorAll("[data-sort]")) {
    const mine = Number(head.dataset.sort) === column;
    head.ariaSort = mine ? (down ? "descending" : "ascending") : "none";
  }
  const count = document.getElementById("layer-count");
  count.textContent = `${rows.length.toLocaleString("en")} / ${sides[side].length.toLocaleString("en")}`;
  const body = document.getElementById("layer-rows");
  const table = body.closest("[role=table]");
  table.setAttribute("aria-rowcount", rows.length + 1);
  table.dataset.timed = sides[side].some((row) => row[6] > 0);
  body.scrollTop = 0;
  draw();
}

function draw() {
  const body = document.getElementById("layer-rows");
  if (!body) return;
  const first = Math.max(0, Math.floor(body.scrollTop / ROW_PX) - SPARE_ROWS);
  const count = Math.ceil(body.clientHeight / ROW_PX) + 2 * SPARE_ROWS;
  const whole = [5, 6].map((column) => sides[side].reduce((sum, row) => sum + row[column], 0) || 1);
  const space = document.createElement("div");
  space.style.height = `${rows.length * ROW_PX}px`;
  space.style.paddingTop = `${first * ROW_PX}px`;
  space.append(...rows.slice(first, first + count).map((row, at) => line(row, first + at, whole)));
  body.replaceChildren(space);
}

function line(row, index, whole) {
  const [place, kind, layer, precision, shapes, bytes, ms, name, parts] = row;
  const made = document.createElement("div");
  made.className = "e-layer";
  made.role = "row";
  made.ariaRowIndex = index + 2;
  made.title = parts ? `${name}\n${parts}` : name;
  made.append(
    cell(place),
    cell(kind, parts.includes(" + ") ? "e-joined" : ""),
    cell(layer || name),
    mark(precision),
    cell(shapes),
    share(bytes && size(bytes), bytes, whole[0]),
    share(ms && `${ms.toFixed(3)} ms`, ms, whole[1]),
  );
  return made;
}

function cell(text, kind = "") {
  const made = document.createElement("span");
  made.role = "cell";
  made.className = kind;
  made.textContent = text;
  return made;
}

function mark(precision) {
  const made = cell("");
  if (!precision) return made;
  const name = document.createElement("b");
  name.className = "e-precision";
  name.dataset.precision = precision;
  name.textContent = precision.toUpperCase();
  made.append(name);
  return made;
}

function share(text, part, whole) {
  const made = cell(text || "", "e-weight");
  if (!part) return made;
  made.style.setProperty("--share", `${(100 * part) / whole}%`);
  made.title = `${((100 * part) / whole).toFixed(2)} %`;
  return made;
}

function size(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit ? bytes.toFixed(1) : bytes} ${UNITS[unit]}`;
}
