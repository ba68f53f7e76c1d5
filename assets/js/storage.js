// What is on disk: boxes for what may go, and a window that says exactly what would.
import { enginesChanged, explained, notice } from "./engines.js";
import { morph } from "./morph.js";
import { get, post } from "./server.js";

const panel = () => document.getElementById("engine-storage");

let dialog;
let going = [];

export async function drawStorage() {
  const { html } = await explained(get("storage"), "storage");
  if (!html) return;
  morph(panel(), html);
  panel().onchange = choose;
  count();
}

function choose({ target }) {
  const group = target.closest(".e-kept-group");
  const boxes = [...group.querySelectorAll("[name=item]:not(:disabled)")];
  const all = group.querySelector("[data-kind]");
  if (target === all) for (const box of boxes) box.checked = all.checked;
  const on = boxes.filter((box) => box.checked).length;
  all.checked = on > 0 && on === boxes.length;
  all.indeterminate = on > 0 && on < boxes.length;
  count();
}

function chosen() {
  return [...panel().querySelectorAll("[name=item]:checked")];
}

function count() {
  const boxes = chosen();
  const said = document.getElementById("storage-chosen");
  if (!said) return;
  said.textContent = boxes.length ? `${boxes.length} ${window.studioBoot.texts.chosen}` : "";
  panel().querySelector("[data-action=storage-ask]").disabled = boxes.length === 0;
}

export const storageActions = {
  "storage-ask": async () => {
    const keys = chosen().map((box) => box.value);
    const plan = await explained(post("storage/plan", { keys }));
    if (!plan.html) return;
    going = plan.keys;
    dialog ??= document.body.appendChild(document.createElement("dialog"));
    dialog.id = "clean-up";
    dialog.setAttribute("aria-labelledby", "clean-title");
    dialog.innerHTML = plan.html;
    dialog.showModal();
  },
  "storage-close": () => dialog.close(),
  "storage-go": async () => {
    dialog.close();
    const { html } = await explained(post("storage/clean", { keys: going }));
    if (!html) return;
    for (const box of chosen()) box.checked = false;
    await drawStorage();
    enginesChanged();
    notice(html);
  },
};
