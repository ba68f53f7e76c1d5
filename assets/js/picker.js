// The variant picker: a Gradio value whose radio buttons the server draws.
import { morph } from "./morph.js";
import { drawOffer } from "./offer.js";
import { get } from "./server.js";
import { setLimits } from "./sizes.js";

let picked = () => "";
let looks = 0;

export let pick = () => {};

export function mountPicker({ element, trigger, props, watch }) {
  picked = () => props.value;
  pick = (variant) => {
    const before = props.value;
    if (variant === before) return;
    props.value = variant;
    mark();
    if (before.split("/")[0] !== variant.split("/")[0]) trigger("change");
  };
  element.addEventListener("change", (event) => {
    if (event.target.name === "variant") pick(event.target.value);
  });
  element.addEventListener("click", (event) => {
    const label = event.target.closest(".s-variant");
    const pointed = event.detail > 0 && label && !label.querySelector("input").disabled;
    if (pointed) element.querySelector("details").open = false;
  });
  watch("value", mark);
}

// Draws the variants and the examples; answers what an empty stage says.
export async function drawModels() {
  const mine = ++looks;
  const { parts, limits } = await get("models");
  if (mine !== looks) return parts.empty;
  morph(document.getElementById("picker-list"), parts.picker);
  morph(document.getElementById("tools"), parts.tools);
  mark();
  setLimits(limits, picked);
  return parts.empty;
}

function mark() {
  drawOffer(picked());
  const variant = picked();
  const choice = [...document.querySelectorAll("#picker-list input")].find(
    (input) => input.value === variant,
  );
  if (!choice) return;
  choice.checked = true;
  const label = choice.closest("label");
  const name = label.closest("fieldset").querySelector("legend").firstChild.textContent;
  const current = document.getElementById("picker-current");
  const [what, why] = [label.querySelector("span"), label.querySelector(".s-reason")];
  current.replaceChildren(name + " ", what.cloneNode(true), why.cloneNode(true));
}
