// Answers side by side, marked from where they leave the reference's; drawn again while they are written.
import { el, fold } from "./dom.js";
import * as show from "./figures.js";
import { drawHead, textRequestFacts } from "./head.js";
import { absence, failure, makeKeeper, spread, table, tag } from "./pieces.js";

export function drawAnswers(root, first, { language, texts }) {
  const say = show.speaker(texts);
  const head = drawHead({ say, language });
  const notes = el("div");
  const figures = el("div");
  const keepNotes = makeKeeper(notes);
  const keepFigures = makeKeeper(figures);
  const cards = new Map();
  const prompts = first.request.prompts.map((words, prompt) =>
    el(
      "section",
      { class: "cmp-part cmp-asked" },
      el("h2", { class: "cmp-words" }, words),
      el(
        "div",
        { class: "cmp-answers", data: { columns: first.variants.length } },
        first.variants.map((_, variant) => {
          const card = makeCard(say);
          cards.set(`${variant}-${prompt}`, card);
          return card.node;
        }),
      ),
    ),
  );
  const overall = el("section", { class: "cmp-part" }, el("h2", {}, say("compare.table.label")), figures);
  root.replaceChildren(el("article", { class: "cmp cmp-text" }, head.node, notes, prompts, overall));

  function update(report) {
    head.update(report, textRequestFacts(report, say));
    const apart = report.apart_because;
    keepNotes(apart, () => (apart ? [el("p", {}, say("compare.answers.apart")), failure(apart, say)] : []));
    keepFigures(report.variants, () => drawServers(report, say));
    const found = new Map(report.answers.map((each) => [`${each.variant}-${each.prompt}`, each]));
    for (const [place, card] of cards) {
      const [variant, prompt] = place.split("-").map(Number);
      card.update(report, variant, found.get(place), found.get(`${report.reference}-${prompt}`));
    }
  }

  update(first);
  return { update, destroy() {} };
}

export function serverTitle(report, index, say) {
  const server = report.variants[index];
  return el(
    "span",
    { class: "cmp-name" },
    server.model,
    el("small", {}, `${server.precision} · ${server.title}`),
    index === report.reference ? tag(say("compare.reference")) : null,
    server.simulated ? tag(say("compare.simulated"), "warn") : null,
  );
}

// A text of two parts: as the reference's, and from where it is not.
function makeMarked() {
  const same = el("span");
  const differs = el("mark");
  return {
    node: el("p", { class: "cmp-answer" }, same, differs),
    update(words, from) {
      const letters = from === null ? null : [...words];
      const parts = letters ? [letters.slice(0, from).join(""), letters.slice(from).join("")] : [words, ""];
      if (same.textContent !== parts[0]) same.textContent = parts[0];
      if (differs.textContent !== parts[1]) differs.textContent = parts[1];
      differs.hidden = !parts[1];
      return Boolean(parts[1]);
    },
  };
}

function makeCard(say) {
  const title = el("header");
  const reasoning = makeMarked();
  const text = makeMarked();
  const thought = fold(say("compare.answers.reasoning"), reasoning.node);
  const verdict = el("p", { class: "cmp-verdict" });
  const figures = el("p", { class: "cmp-quiet" });
  const missing = el("div");
  const node = el("section", { class: "cmp-card" }, title, missing, thought, text.node, verdict, figures);

  return {
    node,
    update(report, variant, answer, wanted) {
      title.replaceChildren(serverTitle(report, variant, say));
      node.dataset.state = answer?.state ?? report.variants[variant].state;
      const problem = answer?.error && failure(answer.error, say);
      missing.replaceChildren(...(answer ? [problem].filter(Boolean) : [absence(report.variants[variant], say)]));
      thought.hidden = !answer?.reasoning;
      text.node.hidden = !answer;
      if (!answer) return;
      const from = variant === report.reference ? null : answer.same_characters;
      const thinking = [...answer.reasoning].length;
      const apart = reasoning.update(answer.reasoning, from === null ? null : Math.min(from, thinking));
      const differs = text.update(answer.text, from === null ? null : Math.max(from - thinking, 0));
      text.node.toggleAttribute("data-first", differs && !apart);
      thought.toggleAttribute("data-differs", apart);
      reasoning.node.toggleAttribute("data-first", apart);
      const said = from === null ? "" : compared(answer, wanted, say);
      verdict.textContent = said;
      verdict.hidden = !said;
      figures.textContent = figuresOf(answer, say);
    },
  };
}

// Lengths are in characters, as the report counts them.
function compared(answer, wanted, say) {
  const length = ({ reasoning, text }) => [...reasoning].length + [...text].length;
  const [own, reference] = [length(answer), wanted ? length(wanted) : -1];
  const same = answer.same_characters;
  const finished = answer.state === "done" && wanted?.state === "done";
  if (same === own && (!finished || own === reference)) {
    return finished ? say("compare.answers.same") : "";
  }
  if (same === own) return say("compare.answers.shorter");
  const { same_tokens: before, tokens } = answer;
  if (before === null) return say("compare.answers.differs_character", { place: same + 1, total: own });
  return say("compare.answers.differs_token", { place: before + 1, total: tokens ?? show.NONE });
}

function figuresOf(answer, say) {
  const said = [
    answer.ttft_s === null ? "" : `TTFT ${show.seconds(answer.ttft_s)}`,
    answer.tokens_per_s === null ? "" : show.speed(answer.tokens_per_s),
    answer.completion_tokens === null
      ? ""
      : say("compare.answers.tokens", { count: answer.completion_tokens }),
    answer.total_s === null ? "" : show.seconds(answer.total_s),
    answer.finish_reason === "length" ? say("compare.answers.cut") : "",
    answer.state === "running" ? say("compare.answers.writing") : "",
    answer.ttft_s === null ? "" : say(answer.alone ? "compare.answers.alone" : "compare.answers.together"),
  ];
  return said.filter(Boolean).join(" · ");
}

function drawServers(report, say) {
  const rows = report.variants.map((server, index) => ({ ...server, index }));
  const given = (value, format) => (value === null ? null : format(value));
  const other = (row, value, format) => (row.index === report.reference ? null : given(value, format));
  const prompts = report.request.prompts.length;
  const loss = (row) => {
    if (row.perplexity === null) return null;
    const { source_perplexity: before } = row;
    const source = before === null ? "" : say("compare.answers.of_source", { value: show.number(before) });
    return el("span", {}, el("b", {}, show.number(row.perplexity)), el("small", {}, source), scope(row));
  };
  const scope = (row) => (row.weights_only ? tag(say("compare.answers.weights_only"), "warn") : null);
  const columns = [
    [say("compare.column.variant"), (row) => serverTitle(report, row.index, say)],
    ["TTFT", (row) => spread(row.ttft_s, show.seconds)],
    [say("compare.column.speed"), (row) => spread(row.tokens_per_s, show.speed)],
    [say("compare.column.agreement"), (row) => other(row, row.agreement, show.percent)],
    [say("compare.column.same"), (row) => other(row, row.same, (same) => `${same} / ${prompts}`)],
    [say("compare.column.perplexity"), loss],
    [say("compare.column.kl"), (row) => given(row.kl_mean, show.small)],
    [say("compare.column.peak"), (row) => given(row.peak_memory_bytes, show.bytes)],
    [say("compare.column.weights"), (row) => given(row.weights_bytes, show.bytes)],
    [say("compare.column.ready"), (row) => given(row.ready_s, show.seconds)],
  ];
  const greedy = report.request.sampling.temperature === 0;
  const learned = rows.some((row) => row.perplexity !== null || row.kl_mean !== null);
  const said = [
    say(report.together ? "compare.note.together" : "compare.note.apart"),
    say(greedy ? "compare.note.greedy" : "compare.note.sampled"),
    learned ? say("compare.note.manifest") : "",
    rows.some((row) => row.simulated) ? say("compare.note.simulated") : "",
  ];
  return [
    table(say("compare.table.label"), columns, rows),
    ...said.filter(Boolean).map((words) => el("p", { class: "cmp-quiet" }, words)),
  ];
}
