// The form of a new comparison. The server draws it from what this browser keeps.
import { morph } from "../morph.js";
import { get, post } from "../server.js";
import { keep, part, root, state } from "./state.js";

const PAUSE_MS = 250;
const TYPED = ["text", "number", "textarea"];
const LISTS = ["variants", "servers"];
const GONE = { model: ["variants", "reference", "steps", "guidance", "width", "height"], base: ["servers", "text_reference"] };

const form = () => part("form");
let explained;
let turn = 0;
let timer = 0;

export function mountForm(notices) {
  explained = notices.explained;
  form().addEventListener("input", ({ target }) => {
    if (target.type === "file") return;
    turn++; // what is on its way was asked before this
    take(target.name);
    clearTimeout(timer);
    timer = setTimeout(drawForm, TYPED.includes(target.type) ? PAUSE_MS : 0);
  });
  form().addEventListener("change", ({ target }) => {
    if (!("prompts" in target.dataset)) return;
    const [file] = target.files;
    target.value = "";
    if (file) takePrompts(file, target.dataset.prompts);
  });
  form().addEventListener("submit", (event) => event.preventDefault());
}

// What the fields hold. Another model has settings and variants of its own.
function take(changed) {
  const fields = {};
  for (const element of form().elements) {
    const { name, type, value, checked } = element;
    if (!name || type === "file" || (type === "radio" && !checked)) continue;
    if (LISTS.includes(name)) {
      fields[name] ??= [];
      if (checked) fields[name].push(value);
    } else fields[name] = type === "checkbox" ? (checked ? value : "") : value;
  }
  for (const name of GONE[changed] ?? []) fields[name] = LISTS.includes(name) ? [] : "";
  keep(fields);
}

export async function drawForm() {
  const mine = ++turn;
  showMode();
  const { html } = await explained(post("compare/form", asked()), "form");
  if (mine !== turn || html === undefined) return;
  morph(form(), html);
  for (const element of form().elements) {
    if (element.type === "checkbox" || element.type === "radio") {
      element.checked = element.defaultChecked;
    } else if (TYPED.includes(element.type) && element !== document.activeElement) {
      element.value = element.defaultValue;
    }
  }
  root().dataset.ready = "true";
}

function asked() {
  const { view, open, ...fields } = state;
  return fields;
}

export function showMode() {
  root().dataset.mode = state.mode ?? "pictures";
  for (const input of part("modes").querySelectorAll("input")) {
    input.checked = input.value === root().dataset.mode;
  }
}

// A file's prompts are kept here, with the rest of the form.
async function takePrompts(file, before) {
  const path = `compare/prompts/${encodeURIComponent(file.name)}`;
  const { prompts, name } = await explained(post(path, file));
  if (!prompts) return;
  keep({ [`${before}source`]: "file", [`${before}own`]: prompts, [`${before}own_name`]: name });
  await drawForm();
}

export const dropPrompts = (file) => takePrompts(file, state.mode === "text" ? "text_" : "");

export async function withoutPrompts(before) {
  keep({ [`${before}own`]: [], [`${before}own_name`]: "" });
  await drawForm();
}

// The settings of a comparison that is there, to change and run again.
export async function asNew(id) {
  const fields = await explained(get(`compare/form/${id}`));
  if (fields.mode) keep(fields);
  return Boolean(fields.mode);
}

export async function startComparison() {
  const { job } = await explained(post("compare/start", asked()));
  return job;
}
