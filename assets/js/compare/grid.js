// Every picture: a column a variant, a row a prompt and seed. Cells are kept, so nothing loads twice.
import { el } from "./dom.js";
import { decibels } from "./figures.js";
import { stateWords } from "./pieces.js";
import { variantTitle } from "./table.js";

export function drawGrid({ say, file, open }) {
  const cells = new Map();
  const head = el("tr");
  const bodies = [];
  const node = el(
    "div",
    { class: "cmp-scroll", tabindex: 0, role: "region", "aria-label": say("compare.grid.label") },
    el("table", { class: "cmp-grid" }, el("thead", {}, head)),
  );

  function build(report) {
    const { prompts, seeds } = report.request;
    prompts.forEach((words, prompt) => {
      const rows = seeds.map((value, seed) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, el("small", {}, say("compare.column.seed")), ` ${value}`),
          report.variants.map((_, variant) => {
            const cell = el("td");
            cells.set(`${variant}-${prompt}-${seed}`, { cell, shown: "" });
            return cell;
          }),
        ),
      );
      const title = el("th", { scope: "rowgroup", colspan: report.variants.length + 1 }, el("div", {}, words));
      bodies.push(el("tbody", {}, el("tr", { class: "cmp-prompt" }, title), rows));
    });
    node.firstChild.append(...bodies);
  }

  function caption(report, picture) {
    if (picture.variant === report.reference) return say("compare.reference");
    if (picture.identical) return say("compare.identical");
    if (picture.unscored) return picture.unscored.code;
    return picture.psnr_db === null ? "" : decibels(picture.psnr_db);
  }

  function picture(report, found) {
    const { variant, prompt, seed } = found;
    const values = { variant: report.variants[variant].precision.toUpperCase(), prompt: prompt + 1 };
    const label = say("compare.grid.open", { ...values, seed: report.request.seeds[seed] });
    return el(
      "button",
      { type: "button", "aria-label": label, onclick: () => open(variant, prompt, seed) },
      el("img", { src: file(found.file), alt: "", loading: "lazy", width: found.width, height: found.height }),
      el("small", {}, caption(report, found)),
    );
  }

  // A failure is told in full where it is met first.
  function absent(variant, told) {
    if (variant.error) {
      const code = el("code", {}, variant.error.code);
      if (told) return el("p", { class: "cmp-absent", data: { state: "failed" } }, code);
      const words = [code, el("span", {}, " ", variant.error.message ?? "")];
      return el("p", { class: "cmp-absent", data: { state: "failed" } }, words, el("small", {}, variant.error.hint ?? ""));
    }
    return el("p", { class: "cmp-absent", data: { state: variant.state } }, stateWords(variant, say));
  }

  return {
    node,
    update(report) {
      if (!bodies.length) build(report);
      node.firstChild.style.setProperty("--columns", report.variants.length);
      head.replaceChildren(
        el("td"),
        ...report.variants.map((_, index) => el("th", { scope: "col" }, variantTitle(report, index, say))),
      );
      const found = new Map(report.pictures.map((each) => [`${each.variant}-${each.prompt}-${each.seed}`, each]));
      const told = new Set();
      for (const [place, kept] of cells) {
        const there = found.get(place);
        const variant = report.variants[Number(place.split("-")[0])];
        const shown = JSON.stringify(there ? caption(report, there) : [variant.state, variant.error]);
        const before = told.has(variant);
        if (!there) told.add(variant);
        if (shown === kept.shown) continue;
        kept.shown = shown;
        kept.cell.replaceChildren(there ? picture(report, there) : absent(variant, before));
      }
    },
    mark(prompt, seed) {
      for (const [place, { cell }] of cells) {
        const [, ...at] = place.split("-").map(Number);
        cell.toggleAttribute("data-open", at[0] === prompt && at[1] === seed);
      }
    },
  };
}
