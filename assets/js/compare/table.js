// The figures of a comparison of pictures: a row a variant, and a row a picture.
import { el, fold } from "./dom.js";
import * as show from "./figures.js";
import { failure, makeKeeper, spread, table, tag } from "./pieces.js";

export function variantTitle(report, index, say) {
  const variant = report.variants[index];
  return el(
    "span",
    { class: "cmp-name" },
    show.variantName(variant),
    index === report.reference ? tag(say("compare.reference")) : null,
    variant.simulated ? tag(say("compare.simulated"), "warn") : null,
  );
}

export function drawTable(report, say) {
  const rows = report.variants.map((variant, index) => ({ ...variant, index }));
  const first = (row) => row.total_s && !row.warm && tag(say("compare.first_run"), "warn");
  const timed = (field, format) => (row) => {
    const shown = spread(row[field], format);
    const single = shown && first(row);
    if (single) shown.append(single);
    return shown;
  };
  const reference = (row) => row.index === report.reference;
  const peak = (row) =>
    row.peak_memory_bytes === null
      ? null
      : el(
          "span",
          {},
          el("b", {}, show.bytes(row.peak_memory_bytes)),
          el("small", {}, say(row.memory_kind === "gpu" ? "compare.peak.gpu" : "compare.peak.cpu")),
        );
  const given = (value, format) => (value === null ? null : format(value));
  const scored = (field, format) => (row) => (reference(row) ? null : spread(row[field], format));
  const columns = [
    [say("compare.column.variant"), (row) => variantTitle(report, row.index, say)],
    [say("compare.column.total"), timed("total_s", show.seconds)],
    [say("compare.column.speed_up"), (row) => given(row.speed_up, show.ratio)],
    [say("compare.column.psnr"), scored("psnr_db", show.decibels)],
    [say("compare.column.ssim"), scored("ssim", show.similarity)],
    [say("compare.column.similarity"), scored("similarity", show.similarity)],
    [say("compare.column.peak"), peak],
    [say("compare.column.engines"), (row) => given(row.engine_bytes, show.bytes)],
    [say("compare.column.weights"), (row) => given(row.weights_bytes, show.bytes)],
    [say("compare.column.step"), (row) => spread(row.step_ms, show.milliseconds)],
    [say("compare.column.text"), (row) => spread(row.text_encode_ms, show.milliseconds)],
    [say("compare.column.decode"), (row) => spread(row.decode_ms, show.milliseconds)],
    [say("compare.column.first"), (row) => given(row.first_s, show.seconds)],
    [say("compare.column.load"), (row) => given(row.load_s, show.seconds)],
    [say("compare.column.energy"), (row) => spread(row.energy_j, show.joules)],
    [
      say("compare.column.identical"),
      (row) => (reference(row) || !row.pictures ? null : `${row.identical} / ${row.pictures}`),
    ],
  ];
  const failed = rows.filter((row) => row.error);
  return [
    table(say("compare.table.label"), columns, rows),
    ...failed.map((row) =>
      el("div", { class: "cmp-failed" }, variantTitle(report, row.index, say), failure(row.error, say)),
    ),
    ...notes(report, say).map((words) => el("p", { class: "cmp-quiet" }, words)),
  ];
}

function notes(report, say) {
  const { request, encoded_by: encoder, similarity_model: learned, variants } = report;
  const said = [say("compare.note.median")];
  if (variants.some((variant) => variant.total_s && !variant.warm)) said.push(say("compare.note.first"));
  if (encoder !== null) {
    said.push(say("compare.note.encoded", { variant: show.variantName(variants[encoder]) }));
  } else if (!request.share_embeddings) said.push(say("compare.note.encoded_each"));
  said.push(say("compare.note.scores"));
  said.push(learned ? say("compare.note.learned", { model: learned }) : say("compare.note.no_learned"));
  if (request.keep_loaded) said.push(say("compare.note.kept"));
  if (variants.some((variant) => variant.simulated)) said.push(say("compare.note.simulated"));
  return said;
}

export function drawPictures(report, say) {
  const given = (value, format) => (value === null ? null : format(value));
  const columns = [
    [say("compare.column.variant"), (row) => show.variantName(report.variants[row.variant])],
    [say("compare.column.prompt"), (row) => String(row.prompt + 1)],
    [say("compare.column.seed"), (row) => String(report.request.seeds[row.seed])],
    [say("compare.column.total"), (row) => show.seconds(row.total_s)],
    [say("compare.column.step"), (row) => show.milliseconds(row.step_ms)],
    [say("compare.column.text"), (row) => given(row.text_encode_ms, show.milliseconds)],
    [say("compare.column.decode"), (row) => show.milliseconds(row.decode_ms)],
    [say("compare.column.energy"), (row) => given(row.energy_j, show.joules)],
    [say("compare.column.psnr"), (row) => given(row.psnr_db, show.decibels)],
    [say("compare.column.ssim"), (row) => given(row.ssim, show.similarity)],
    [say("compare.column.similarity"), (row) => given(row.similarity, show.similarity)],
    [say("compare.column.remark"), (row) => remark(report, row, say)],
  ];
  return table(say("compare.pictures.label"), columns, report.pictures);
}

function remark(report, row, say) {
  const said = [];
  if (!row.warm) said.push(tag(say("compare.first_run")));
  if (row.identical && row.variant !== report.reference) said.push(tag(say("compare.identical")));
  if (row.unscored) said.push(failure(row.unscored, say));
  return said.length ? el("span", {}, said) : null;
}

export const foldPictures = (say) => {
  const inside = el("div");
  const keep = makeKeeper(inside);
  const node = fold(say("compare.pictures.label"), inside);
  return {
    node,
    update(report) {
      const scores = report.pictures.map((each) => ({ ...each, file: "" }));
      keep(scores, () => drawPictures(report, say));
    },
  };
};
