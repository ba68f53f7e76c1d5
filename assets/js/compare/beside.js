// Two reports side by side, say a Spark's and a laptop's: what differs first, then figures, then pictures.
import { el, facts, fold } from "./dom.js";
import * as show from "./figures.js";
import { requestFacts, textRequestFacts } from "./head.js";
import { machineFacts, tag } from "./pieces.js";
import { mountStage } from "./stage.js";
import { sideOf } from "./view.js";

export function drawBeside(root, a, b, { fileA, fileB, language, texts }) {
  const say = show.speaker(texts);
  const section = (title, ...content) =>
    el("section", { class: "cmp-part" }, el("h2", {}, title), content);
  const heads = [a, b].map((report, at) =>
    el(
      "div",
      {},
      el("h2", {}, tag("AB"[at]), " ", report.title),
      el("p", { class: "cmp-quiet" }, [report.machine.device, show.moment(report.made_at, language)].join(" · ")),
    ),
  );
  const drawn = el("article", { class: "cmp cmp-beside" }, el("header", { class: "cmp-heads" }, heads));
  root.replaceChildren(drawn);
  if (a.kind !== b.kind) {
    drawn.append(el("p", {}, say("compare.beside.kinds")));
    return { destroy() {} };
  }
  const asked = a.kind === "text" ? textSettings : pictureSettings;
  drawn.append(
    section(say("compare.beside.settings"), ...settings(asked(a, say), asked(b, say), say, "settings")),
    section(say("compare.machine.label"), ...settings(machineFacts(a.machine, say), machineFacts(b.machine, say), say, "machine")),
    section(say("compare.table.label"), ...compared(a, b, say)),
  );
  if (a.kind === "text") return { destroy() {} };
  const onstage = el("div");
  drawn.append(section(say("compare.beside.pictures"), onstage));
  return pictures(onstage, a, b, { fileA, fileB, texts, say });
}

const pictureSettings = (report, say) => [
  [say("compare.request.name"), report.model_name],
  ...requestFacts(report, say),
  [say("compare.request.prompt_list"), report.request.prompts.join("\n")],
];
const textSettings = (report, say) => [
  ...textRequestFacts(report, say),
  [say("compare.request.prompt_list"), report.request.prompts.join("\n")],
];

// Differing ones first and open, equal ones folded.
function settings(a, b, say, name) {
  const [left, right] = [new Map(a), new Map(b)];
  const keys = [...new Set([...left.keys(), ...right.keys()])];
  const has = (key) => left.get(key) || right.get(key);
  const differing = keys.filter((key) => has(key) && (left.get(key) ?? "") !== (right.get(key) ?? ""));
  const same = keys.filter((key) => has(key) && !differing.includes(key));
  const row = (key) =>
    el("tr", {}, el("th", { scope: "row" }, key), [left, right].map((side) => el("td", {}, side.get(key) || show.NONE)));
  const head = el("tr", {}, el("td"), el("th", { scope: "col" }, "A"), el("th", { scope: "col" }, "B"));
  return [
    differing.length
      ? el("div", { class: "cmp-scroll" }, el("table", { class: "cmp-table cmp-words-table", data: { differing: name } }, el("thead", {}, head), el("tbody", {}, differing.map(row))))
      : el("p", {}, say("compare.beside.equal")),
    same.length ? fold(say("compare.beside.same", { count: same.length }), facts(same.map((key) => [key, left.get(key)]))) : null,
  ].filter(Boolean);
}

const nameOf = (report, index) => {
  const each = report.variants[index];
  return report.kind === "text" ? show.serverName(each) : show.variantName(each);
};
const keyOf = (report, each) =>
  report.kind === "text" ? [each.model, each.kind, each.simulated].join("|") : [each.precision, each.runtime].join("|");

function matched(a, b) {
  return a.variants
    .map((each, index) => [index, b.variants.findIndex((other) => keyOf(b, other) === keyOf(a, each))])
    .filter(([, other]) => other >= 0);
}

const median = (name) => (variant) => variant[name]?.median ?? null;
const plain = (name) => (variant) => variant[name] ?? null;
const FIGURES = {
  pictures: (say) => [
    [say("compare.column.total"), median("total_s"), show.seconds],
    [say("compare.column.step"), median("step_ms"), show.milliseconds],
    [say("compare.column.text"), median("text_encode_ms"), show.milliseconds],
    [say("compare.column.decode"), median("decode_ms"), show.milliseconds],
    [say("compare.column.first"), plain("first_s"), show.seconds],
    [say("compare.column.load"), plain("load_s"), show.seconds],
    [say("compare.column.speed_up"), plain("speed_up"), show.ratio],
    [say("compare.column.peak"), plain("peak_memory_bytes"), show.bytes],
    [say("compare.column.engines"), plain("engine_bytes"), show.bytes],
    [say("compare.column.weights"), plain("weights_bytes"), show.bytes],
    [say("compare.column.energy"), median("energy_j"), show.joules],
    [say("compare.column.psnr"), median("psnr_db"), show.decibels],
    [say("compare.column.ssim"), median("ssim"), show.similarity],
  ],
  text: (say) => [
    ["TTFT", median("ttft_s"), show.seconds],
    [say("compare.column.speed"), median("tokens_per_s"), show.speed],
    [say("compare.column.agreement"), plain("agreement"), show.percent],
    [say("compare.column.perplexity"), plain("perplexity"), show.number],
    [say("compare.column.kl"), plain("kl_mean"), show.small],
    [say("compare.column.peak"), plain("peak_memory_bytes"), show.bytes],
    [say("compare.column.weights"), plain("weights_bytes"), show.bytes],
    [say("compare.column.ready"), plain("ready_s"), show.seconds],
  ],
};

function compared(a, b, say) {
  const pairs = matched(a, b);
  const bodies = pairs.map(([left, right]) => {
    const [one, other] = [a.variants[left], b.variants[right]];
    const rows = FIGURES[a.kind](say)
      .map(([name, of, format]) => [name, of(one), of(other), format])
      .filter(([, x, y]) => x !== null || y !== null);
    const marks = [];
    if (one.simulated || other.simulated) marks.push(tag(say("compare.simulated"), "warn"));
    if ([one, other].some((each) => each.total_s && !each.warm)) marks.push(tag(say("compare.first_run"), "warn"));
    return el(
      "tbody",
      {},
      el("tr", { class: "cmp-prompt" }, el("th", { colspan: 4, scope: "rowgroup" }, nameOf(a, left), " ", marks)),
      rows.map(([name, x, y, format]) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, name),
          el("td", {}, format(x)),
          el("td", {}, format(y)),
          el("td", {}, x && y !== null ? show.ratio(y / x) : show.NONE),
        ),
      ),
    );
  });
  const head = [say("compare.beside.figure"), "A", "B", "B / A"].map((words) => el("th", { scope: "col" }, words));
  const alone = [
    [say("compare.beside.only", { side: "A" }), a, new Set(pairs.map(([left]) => left))],
    [say("compare.beside.only", { side: "B" }), b, new Set(pairs.map(([, right]) => right))],
  ].flatMap(([words, report, found]) => {
    const names = report.variants.map((_, at) => at).filter((at) => !found.has(at)).map((at) => nameOf(report, at));
    return names.length ? [el("p", { class: "cmp-quiet" }, `${words}: ${names.join(", ")}`)] : [];
  });
  if (!pairs.length) return [el("p", {}, say("compare.beside.none_match")), ...alone];
  return [
    el("div", { class: "cmp-scroll" }, el("table", { class: "cmp-table" }, el("thead", {}, el("tr", {}, head)), bodies)),
    ...alone,
  ];
}

// Pictures of the same prompt and seed by the same variant, where both have them.
function matchingPictures(a, b) {
  const twins = new Map(matched(a, b));
  const words = ({ request }, { prompt, seed }) => `${request.seeds[seed]} ${request.prompts[prompt]}`;
  const others = new Map(b.pictures.map((each) => [`${each.variant} ${words(b, each)}`, each]));
  return a.pictures
    .map((one) => ({ one, other: others.get(`${twins.get(one.variant)} ${words(a, one)}`) }))
    .filter(({ other }) => other);
}

function pictures(root, a, b, { fileA, fileB, texts, say }) {
  const pairs = matchingPictures(a, b);
  if (!pairs.length) {
    root.append(el("p", {}, say("compare.beside.no_pictures")));
    return { destroy() {} };
  }
  const options = pairs.map(({ one }, at) => {
    const { prompts, seeds } = a.request;
    const label = say("compare.pick.item", { prompt: one.prompt + 1, seed: seeds[one.seed] });
    return el("option", { value: at }, `${nameOf(a, one.variant)} · ${label} · ${prompts[one.prompt]}`);
  });
  const pick = el("select", { "aria-label": say("compare.beside.pick"), onchange: draw }, options);
  root.append(el("div", { class: "cmp-row" }, pick));
  const stage = mountStage(root, { texts });

  function draw() {
    const { one, other } = pairs[Number(pick.value)];
    const left = sideOf(a, one.variant, one, fileA, say);
    const right = sideOf(b, other.variant, other, fileB, say);
    stage.show({ ...left, label: `A · ${left.label}` }, { ...right, label: `B · ${right.label}` });
  }

  draw();
  return { destroy: stage.destroy };
}
