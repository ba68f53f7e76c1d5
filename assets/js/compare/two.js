// Two reports side by side: one's own, or somebody else's from a file.
import { get } from "../server.js";
import { drawBeside } from "./beside.js";
import { readFiles } from "./one.js";
import { part } from "./state.js";

const TITLES = { left: "compare_left", right: "compare_right" };
const SIDES = Object.keys(TITLES);

let explained;
let drawn;
const chosen = {};

export function mountTwo(notices) {
  explained = notices.explained;
  const { texts } = window.studioBoot;
  const side = (name) => `<div class="k-side" data-side="${name}">
    <label class="e-field"><span>${texts[TITLES[name]]}</span>
    <select class="s-field" id="compare-two-${name}"></select></label>
    <label class="s-button s-file"><span>${texts.compare_open}</span>
    <input type="file" accept=".json,.html,.png" multiple id="compare-two-file-${name}"></label>
    <p class="e-note" id="compare-two-name-${name}"></p></div>`;
  part("two").innerHTML = `<div class="k-two">${SIDES.map(side).join("")}</div>
    <p class="q-note" id="compare-two-hint">${texts.compare_two_hint}</p>
    <div id="compare-beside"></div>`;
  part("two").addEventListener("change", ({ target }) => {
    const { side: name } = target.closest("[data-side]").dataset;
    if (target.type !== "file") return chooseOwn(name, target.value);
    const files = [...target.files];
    target.value = "";
    if (files.length) takeSide(files, name);
  });
  new IntersectionObserver(([seen]) => seen.isIntersecting && drawChoices()).observe(part("two"));
}

async function drawChoices() {
  const { choices } = await explained(get("compare/past", { limit: 200 }), "two");
  if (choices === undefined) return;
  for (const name of SIDES) {
    const select = part(`two-${name}`);
    const { value } = select;
    select.innerHTML = choices;
    select.value = [...select.options].some((option) => option.value === value) ? value : "";
  }
}

async function chooseOwn(name, id) {
  delete chosen[name];
  part(`two-name-${name}`).textContent = "";
  if (id) {
    const { report } = await explained(get(`compare/one/${id}`));
    if (part(`two-${name}`).value !== id) return;
    if (report) chosen[name] = { report, file: (picture) => `/files/${id}/${picture}` };
  }
  draw();
}

async function takeSide(files, name) {
  const told = await readFiles(files);
  if (!told) return;
  chosen[name] = told;
  part(`two-${name}`).value = "";
  part(`two-name-${name}`).textContent = files.map((file) => file.name).slice(0, 3).join(", ");
  draw();
}

// A file that was dropped goes to the first side that is empty.
export const dropSide = (files) => takeSide([...files], SIDES.find((name) => !chosen[name]) ?? "right");

function draw() {
  const { left, right } = chosen;
  part("two-hint").hidden = Boolean(left && right);
  drawn?.destroy();
  drawn = undefined;
  part("beside").replaceChildren();
  if (!left || !right) return;
  const files = { fileA: left.file, fileB: right.file };
  const { language, texts } = window.studioBoot;
  drawn = drawBeside(part("beside"), left.report, right.report, { ...files, language, texts });
}
