// What both kinds of reports show alike: failures, marks, the machine.
import { el, facts, fold } from "./dom.js";
import { bytes } from "./figures.js";

export function tag(words, kind = "") {
  return el("em", { class: "cmp-tag", data: kind ? { kind } : {} }, words);
}

export function failure(error, say) {
  return el(
    "div",
    { class: "cmp-failure" },
    el("p", {}, el("code", {}, error.code), " ", error.message ?? ""),
    el("p", { class: "cmp-quiet" }, error.hint ?? ""),
    error.detail ? fold(say("compare.details"), el("pre", {}, error.detail)) : null,
  );
}

export function stateWords({ state }, say) {
  const words = {
    waiting: say("compare.state.waiting"),
    running: say("compare.state.running"),
    done: say("compare.state.missing"),
    failed: say("compare.state.failed"),
  };
  return words[state];
}

// Why nothing is there yet: a failure, or how its variant stands.
export function absence(variant, say) {
  if (variant.error) return failure(variant.error, say);
  return el("p", { class: "cmp-quiet", data: { state: variant.state } }, stateWords(variant, say));
}

export function machineFacts(machine, say) {
  const versions = Object.entries(machine.versions).map(([name, version]) => [name, version]);
  return [
    [say("compare.machine.device"), machine.device],
    [say("compare.machine.capability"), machine.compute_capability],
    [say("compare.machine.driver"), machine.driver],
    [say("compare.machine.system"), machine.system],
    [
      say(machine.unified_memory ? "compare.machine.unified" : "compare.machine.memory"),
      bytes(machine.memory_bytes),
    ],
    ...versions,
  ];
}

export const machineFold = (machine, say) =>
  fold(`${say("compare.machine.label")}: ${machine.device}`, facts(machineFacts(machine, say)));

// A table whose columns are `[title, cell of a row]`; one without anything to say is left out.
export function table(caption, columns, rows, shape = {}) {
  const cells = columns.map(([, cell]) => rows.map(cell));
  const kept = columns.map((column, at) => at).filter((at) => !at || cells[at].some((each) => each !== null));
  return el(
    "div",
    { class: "cmp-scroll", tabindex: 0, role: "region", "aria-label": caption },
    el(
      "table",
      { class: "cmp-table", ...shape },
      el("thead", {}, el("tr", {}, kept.map((at) => el("th", { scope: "col" }, columns[at][0])))),
      el(
        "tbody",
        {},
        rows.map((row, line) =>
          el(
            "tr",
            {},
            kept.map((at) =>
              at ? el("td", {}, cells[at][line] ?? "–") : el("th", { scope: "row" }, cells[at][line]),
            ),
          ),
        ),
      ),
    ),
  );
}

// Draws into `node` anew only where its data changed, and keeps how far a table was scrolled.
export function makeKeeper(node) {
  let before = "";
  return (data, draw) => {
    const now = JSON.stringify(data);
    if (now === before) return;
    before = now;
    const scrolled = node.querySelector(".cmp-scroll")?.scrollLeft ?? 0;
    node.replaceChildren(...[draw()].flat());
    const table = node.querySelector(".cmp-scroll");
    if (table) table.scrollLeft = scrolled;
  };
}

// A median with the span and the number of what it is of.
export function spread(figures, show) {
  if (!figures) return null;
  const { median, low, high, count } = figures;
  const [least, most] = [show(low), show(high)];
  const unit = most.slice(most.lastIndexOf(" "));
  const short = most.includes(" ") && least.endsWith(unit) ? least.slice(0, -unit.length) : least;
  const span = least === most ? `n ${count}` : `${short} – ${most} · n ${count}`;
  return el("span", {}, el("b", {}, show(median)), el("small", {}, span));
}
