// What to do about a chosen variant that cannot make pictures yet: build its engines and then
// generate, or generate in PyTorch now.
import { pick } from "./picker.js";
import { get } from "./server.js";

let turn = 0;

export async function drawOffer(variant) {
  const target = document.getElementById("offer");
  if (!target) return;
  const mine = ++turn;
  const input = [...document.querySelectorAll("#picker-list input")].find(
    ({ value }) => value === variant,
  );
  const state = input?.closest("label").dataset.state ?? "ready";
  const offered = state === "buildable" || state === "downloadable";
  const needed = offered && !window.studioBoot.visitor;
  const { html } = needed ? await get("engines/offer", { key: variant }) : { html: "" };
  if (mine !== turn) return;
  target.innerHTML = html;
  document.body.toggleAttribute("data-offer", html !== "");
}

const press = (id) => document.getElementById(id).click();

export const offerActions = {
  "build-generate": () => press("build-generate"),
  "generate-instead": async ({ variant }) => {
    pick(variant);
    await new Promise((resolve) => setTimeout(resolve));
    press(document.body.hasAttribute("data-live") ? "enqueue" : "generate");
  },
};
