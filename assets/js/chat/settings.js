// The settings form: what the chosen servers take, presets, and what this browser used last.
const STORE = "studio.chat.settings";
const PRESET = "studio.chat.custom";
const WHOLE = ["top_k", "max_tokens", "seed"];
const CUSTOM = "custom";

const form = () => document.getElementById("chat-form");
const numbers = () => [...form().querySelectorAll("input[type=number]")];
const presets = () => [...form().elements.preset];
const shown = (input) => !input.closest("[data-field]").hidden;

export function mountSettings(changed) {
  form().addEventListener("submit", (event) => event.preventDefault());
  form().addEventListener("input", ({ target }) => {
    if (target.name === "preset") usePreset(target);
    else if (target.type === "number") {
      localStorage.setItem(PRESET, JSON.stringify(sampling()));
    }
    markPreset();
    remember();
    changed();
  });
  fill(JSON.parse(localStorage.getItem(STORE) ?? "{}"));
}

function usePreset({ value, dataset }) {
  const kept = JSON.parse(localStorage.getItem(PRESET) ?? "{}");
  const values = value === CUSTOM ? kept : JSON.parse(dataset.values);
  for (const input of numbers()) {
    const sets = value === CUSTOM ? input.name in values : input.name !== "seed" && input.name !== "max_tokens";
    if (sets) input.value = values[input.name] ?? "";
  }
}

// The preset whose figures these are.
function markPreset() {
  const now = sampling();
  const drawn = (values) => JSON.stringify([values.temperature, values.top_p, values.top_k, values.min_p, values.repetition_penalty]);
  const fits = presets().find((each) => each.dataset.values && drawn(JSON.parse(each.dataset.values)) === drawn(now));
  for (const each of presets()) each.checked = each === (fits ?? presets().at(-1));
}

function sampling() {
  const values = {};
  for (const input of numbers()) {
    if (!shown(input) || input.value === "") continue;
    values[input.name] = WHOLE.includes(input.name) ? Math.round(Number(input.value)) : Number(input.value);
  }
  return values;
}

function stops() {
  const lines = form().elements.stop.value.split("\n");
  return lines.filter(Boolean).map((line) => line.replaceAll("\\n", "\n"));
}

// What the page asks with, less the servers.
export function readSettings() {
  return {
    system: form().elements.system.value,
    sampling: { ...sampling(), stop: shown(form().elements.stop) ? stops() : [] },
    completion: form().elements.completion.checked,
  };
}

// Figures that no server would take; the browser says what is wrong with them.
export function settingsRefused() {
  const wrong = numbers().find((input) => shown(input) && !input.checkValidity());
  wrong?.reportValidity();
  return Boolean(wrong);
}

export function fill({ system = "", sampling: values = {}, completion = false }) {
  form().elements.system.value = system;
  for (const input of numbers()) input.value = values[input.name] ?? "";
  form().elements.stop.value = (values.stop ?? []).map((each) => each.replaceAll("\n", "\\n")).join("\n");
  form().elements.completion.checked = completion;
  markPreset();
}

export function remember() {
  localStorage.setItem(STORE, JSON.stringify(readSettings()));
}

// Only what all chosen servers take; a model without a template can only go on with a text.
export function limitSettings(servers) {
  for (const label of form().querySelectorAll("[data-field]")) {
    const name = label.dataset.field;
    if (name === "system" || name === "completion") continue;
    label.hidden = servers.some(({ fields }) => !(name in fields));
    const input = label.querySelector("input");
    const ranges = servers.map(({ fields }) => fields[name]).filter(Boolean);
    if (!input || ranges.length === 0) continue;
    input.min = Math.max(...ranges.map(([low]) => low));
    input.max = Math.min(...ranges.map(([, high]) => high));
  }
  const box = form().elements.completion;
  const forced = servers.some(({ template }) => !template);
  if (forced) box.checked = true;
  else if (box.disabled) box.checked = false;
  box.disabled = forced;
}

export const completes = () => form().elements.completion.checked;
