// A comparison, drawn from its report alone: in the studio's page and in report.html.
import { drawAnswers } from "./answers.js";
import { drawCharts } from "./charts.js";
import { el } from "./dom.js";
import { speaker, variantName } from "./figures.js";
import { drawGrid } from "./grid.js";
import { drawHead, requestFacts } from "./head.js";
import { makePicker } from "./picker.js";
import { absence, makeKeeper } from "./pieces.js";
import { mountStage } from "./stage.js";
import { drawTable, foldPictures } from "./table.js";

// `file(name)` is the address of a picture; failures in the report carry `message` and `hint`.
export function drawReport(root, report, { file, language, texts }) {
  const view = { file: (name) => (name.startsWith("data:image/png;") ? name : file(name)), language, texts };
  if (report.kind === "text") return drawAnswers(root, report, view);
  return drawPictureReport(root, report, view);
}

export function sideOf(report, index, picture, file, say) {
  const variant = report.variants[index];
  return {
    src: picture ? file(picture.file) : null,
    label: variantName(variant),
    simulated: variant.simulated ? say("compare.simulated") : "",
    note: picture ? null : absence(variant, say),
  };
}

function drawPictureReport(root, first, { file, language, texts }) {
  const say = speaker(texts);
  let report = first;
  const { reference } = report;
  const place = { prompt: 0, seed: 0, left: reference, right: reference ? 0 : 1 };
  const head = drawHead({ say, language });
  const picker = makePicker({ say, file, place, changed: show });
  const onstage = el("div", { class: "cmp-onstage" });
  const stage = mountStage(onstage, { texts });
  const grid = drawGrid({ say, file, open });
  const charts = drawCharts(say);
  const each = foldPictures(say);
  const figures = el("div");
  const keep = makeKeeper(figures);
  const section = (title, name, ...content) =>
    el("section", { class: "cmp-part", data: { part: name } }, el("h2", {}, title), content);
  const drawn = el(
    "article",
    { class: "cmp" },
    head.node,
    el(
      "section",
      { class: "cmp-part cmp-show", data: { part: "stage" }, "aria-label": say("compare.stage.label"), onkeydown },
      picker.node,
      onstage,
      picker.strip,
    ),
    section(say("compare.table.label"), "table", figures),
    section(say("compare.chart.label"), "charts", charts.node),
    section(say("compare.grid.label"), "grid", grid.node, each.node),
  );
  root.replaceChildren(drawn);

  function show() {
    const of = (index) => {
      const found = report.pictures.find(
        ({ variant, prompt, seed }) => variant === index && prompt === place.prompt && seed === place.seed,
      );
      return sideOf(report, index, found, file, say);
    };
    picker.update(report);
    stage.show(of(place.left), of(place.right), report.variants.map((_, index) => of(index)));
    grid.mark(place.prompt, place.seed);
  }

  // A picture of the grid takes the right side; the reference stays beside it.
  function open(variant, prompt, seed) {
    Object.assign(place, { prompt, seed });
    if (variant !== place.left) place.right = variant;
    show();
    onstage.scrollIntoView({ block: "center" });
  }

  function onkeydown(event) {
    const by = { PageUp: -1, PageDown: 1 }[event.key];
    if (!by || event.target.closest("select, input")) return;
    event.preventDefault();
    picker.step(by);
  }

  function update(fresh) {
    report = fresh;
    head.update(report, requestFacts(report, say, language));
    grid.update(report);
    keep(report.variants, () => drawTable(report, say));
    charts.update(report);
    each.update(report);
    show();
  }

  update(report);
  return { update, destroy: stage.destroy };
}
