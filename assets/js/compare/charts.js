// Quality against what it costs, as points with their names beside them.
import { button, el, svg } from "./dom.js";
import { bytes, decibels, seconds, similarity, variantName } from "./figures.js";

const [WIDE, TALL] = [440, 300];
const EDGE = { left: 56, right: 16, top: 26, bottom: 42 };
const LINE = 15;

export function drawCharts(say) {
  let measure = "psnr_db";
  let report = null;
  const plots = el("div", { class: "cmp-charts" });
  const measures = { psnr_db: "PSNR", ssim: "SSIM" };
  const buttons = Object.entries(measures).map(([name, words]) =>
    button(words, () => choose(name), { data: { measure: name } }),
  );
  const node = el(
    "div",
    {},
    el("div", { class: "cmp-group", role: "group", "aria-label": say("compare.chart.measure") }, buttons),
    plots,
  );

  function choose(name) {
    measure = name;
    draw();
  }

  function draw() {
    for (const made of buttons) made.setAttribute("aria-pressed", made.dataset.measure === measure);
    const kinds = [time(report, say), memory(report, say)];
    plots.replaceChildren(...kinds.map((kind) => chart(report, kind, measure, measures[measure], say)));
  }

  return {
    node,
    update(fresh) {
      report = fresh;
      draw();
    },
  };
}

const time = (report, say) => ({
  title: say("compare.chart.time"),
  of: (variant) => variant.total_s?.median ?? null,
  show: seconds,
  unit: () => 1,
});

// The peak where every variant that is done has one; else what lies on disk, which is named so.
function memory({ variants }, say) {
  const done = variants.filter((variant) => variant.total_s);
  const peaks = done.length > 0 && done.every((variant) => variant.peak_memory_bytes !== null);
  const size = ({ engine_bytes: engine, weights_bytes: weights }) =>
    engine === null && weights === null ? null : (engine ?? 0) + (weights ?? 0);
  return {
    title: say(peaks ? "compare.chart.memory" : "compare.chart.size"),
    of: peaks ? (variant) => variant.peak_memory_bytes : size,
    show: bytes,
    unit: (most) => 1024 ** Math.floor(Math.log(most) / Math.log(1024)),
  };
}

function chart(report, { title, of, show, unit }, measure, name, say) {
  const points = report.variants
    .map((variant, index) => ({ variant, index, x: of(variant), y: variant[measure]?.median ?? null }))
    .filter(({ variant, x }) => x !== null && variant.total_s);
  const reference = points.find(({ index }) => index === report.reference);
  const others = points.filter(({ index }) => index !== report.reference);
  const isSame = ({ variant }) => variant.pictures > 0 && variant.identical === variant.pictures;
  const same = others.filter(isSame).map((point) => ({ ...point, y: null }));
  const scored = others.filter((point) => point.y !== null && !isSame(point));
  const heading = el("figcaption", {}, `${name} · ${title}`);
  if (!scored.length && !same.length) {
    return el("figure", { class: "cmp-chart" }, heading, el("p", { class: "cmp-quiet" }, say("compare.chart.nothing")));
  }
  const format = measure === "ssim" ? similarity : decibels;
  const axes = makeAxes(points, scored, unit);
  const placed = apart([...scored, ...same], axes);
  const words = placed.map(({ variant, x, y }) =>
    say(y === null ? "compare.chart.point_same" : "compare.chart.point", {
      variant: variantName(variant),
      cost: show(x),
      quality: y === null ? "" : format(y),
    }),
  );
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDE} ${TALL}`, role: "img", "aria-label": `${heading.textContent}. ${words.join(" ")}` },
    frame(axes, show, format),
    reference ? referenceLine(axes.x(reference.x), reference, say) : null,
    placed.map((point) => mark(point, say)),
  );
  return el("figure", { class: "cmp-chart" }, heading, drawing);
}

function makeAxes(points, scored, unit) {
  const most = Math.max(...points.map(({ x }) => x)) * 1.08;
  const size = unit(most);
  const xs = niceTicks(0, most / size).map((tick) => tick * size);
  const ys = scored.map(({ y }) => y);
  const spread = ys.length ? Math.max(...ys) - Math.min(...ys) : 0;
  const room = spread * 0.25 || Math.abs(ys[0] ?? 1) * 0.05;
  const yTicks = niceTicks(ys.length ? Math.min(...ys) - room : 0, ys.length ? Math.max(...ys) + room : 1);
  const scale = (ticks, from, to) => (value) =>
    from + ((value - ticks[0]) / (ticks.at(-1) - ticks[0])) * (to - from);
  return {
    xs,
    yTicks: ys.length ? yTicks : [],
    x: scale(xs, EDGE.left, WIDE - EDGE.right),
    y: scale(yTicks, TALL - EDGE.bottom, EDGE.top),
  };
}

function niceTicks(low, high) {
  const rough = (high - low) / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const first = Math.floor(low / step);
  const count = Math.ceil(high / step) - first;
  return Array.from({ length: count + 1 }, (_, at) => (first + at) * step);
}

const plain = (words) => words.replace(/\.0+ /, " ");

// Names that would lie on one another are moved apart, each joined to its point by a line.
function apart(points, axes) {
  const placed = points.map((point) => {
    const [left, top] = [axes.x(point.x), point.y === null ? EDGE.top : axes.y(point.y)];
    const flip = left > WIDE * 0.6;
    return { ...point, left, top, flip, label: top };
  });
  placed.sort((a, b) => a.top - b.top);
  placed.forEach((point, at) => {
    if (at) point.label = Math.max(point.label, placed[at - 1].label + LINE);
  });
  return placed;
}

function frame({ xs, yTicks, x, y }, show, format) {
  const [bottom, right] = [TALL - EDGE.bottom, WIDE - EDGE.right];
  const across = yTicks.map((value) => [
    svg("line", { class: "cmp-rule", x1: EDGE.left, x2: right, y1: y(value), y2: y(value) }),
    svg("text", { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, format(value)),
  ]);
  const along = xs.map((value, at) => {
    const anchor = at === xs.length - 1 ? "end" : "middle";
    return svg("text", { x: x(value), y: bottom + 18, "text-anchor": anchor }, value ? plain(show(value)) : "0");
  });
  return [across, along, svg("line", { class: "cmp-axis", x1: EDGE.left, x2: right, y1: bottom, y2: bottom })].flat(2);
}

function referenceLine(x, { variant }, say) {
  const end = x > WIDE / 2;
  const words = `${variantName(variant)} (${say("compare.reference")})`;
  return svg(
    "g",
    { class: "cmp-reference" },
    svg("line", { x1: x, x2: x, y1: EDGE.top - 8, y2: TALL - EDGE.bottom }),
    svg("text", { x: end ? x - 5 : x + 5, y: TALL - EDGE.bottom - 8, "text-anchor": end ? "end" : "start" }, words),
  );
}

function mark({ variant, y, left, top, flip, label }, say) {
  const beside = flip ? -10 : 10;
  const words = `${variantName(variant)}${y === null ? ` (${say("compare.identical")})` : ""}${
    variant.simulated ? ` (${say("compare.simulated")})` : ""
  }`;
  return svg(
    "g",
    { class: "cmp-point", "data-simulated": variant.simulated },
    label === top ? null : svg("line", { x1: left, y1: top, x2: left + beside, y2: label }),
    svg("circle", { cx: left, cy: top, r: 5 }),
    svg("text", { x: left + beside, y: label + 4, "text-anchor": flip ? "end" : "start" }, words),
  );
}
