// The form: fill it in, and remember what was typed until the tab is closed, so that a reload or a
// restart of the server loses nothing.
const STORE = "studio.form";
const NUMBERS = ["width", "height", "steps", "guidance", "seed", "count"];

export const FIELDS = [
  "#prompt textarea",
  "#negative-prompt textarea",
  "#keep-seed input",
  ...NUMBERS.map((name) => `#${name} input[type=number]`),
];

const field = (name) => document.querySelector(`#${name} input[type=number]`);
const prompt = () => document.querySelector("#prompt textarea");
const negativePrompt = () => document.querySelector("#negative-prompt textarea");
const keepSeed = () => document.querySelector("#keep-seed input");

function type(element, value) {
  element.value = value;
  element.dispatchEvent(new Event("input", { bubbles: true }));
}

export function setPrompt(text) {
  type(prompt(), text);
  prompt().focus();
}

// Take over settings; the server checks them and fills in the form.
export function applySettings(settings) {
  const request = settings.seed === undefined ? settings : { keep_seed: true, ...settings };
  applySettings.through(request);
  prompt().focus();
}

function readForm() {
  const form = {
    prompt: prompt().value,
    negative_prompt: negativePrompt().value,
    keep_seed: keepSeed().checked,
  };
  const variant = document.querySelector("#picker-list input:checked");
  if (variant) form.variant = variant.value;
  for (const name of NUMBERS) {
    const value = field(name).valueAsNumber;
    if (Number.isFinite(value)) form[name] = value;
  }
  return form;
}

export function rememberForm() {
  let timer = 0;
  const store = () => sessionStorage.setItem(STORE, JSON.stringify(readForm()));
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(store, 200);
  };
  const controls = document.getElementById("images-controls");
  for (const name of ["input", "change", "click"]) controls.addEventListener(name, soon);
  addEventListener("pagehide", store);
}

export function restoreForm() {
  const stored = sessionStorage.getItem(STORE);
  if (stored) applySettings.through(JSON.parse(stored));
}
