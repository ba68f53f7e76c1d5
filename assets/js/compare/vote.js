// The ballot: one question, pictures or answers without their names, and the result at the end.
import { drawResult, question, say } from "./bars.js";
import { el } from "./dom.js";

const LOOK_MS = 4000;
const SWIPE_PX = 40;
const WIDE = matchMedia("(min-width: 800px)");
const LETTERS = "ABCDEF";

const data = window.studioBoot.data;
const main = document.querySelector("main");
let place = 0;
let shown = 0;
let trouble = null;
let sending = false;
let timer = 0;

async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "x-studio-page": "1", "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch(`/vote/${data.code}${path}`, options);
  const told = await answer.json();
  if (!answer.ok) throw told.error ?? { message: say("vote.unreachable"), hint: "" };
  return told;
}

async function vote(option) {
  const item = data.items[place];
  if (sending) return;
  sending = true;
  trouble = null;
  draw();
  try {
    const told = await ask("", { item: item.item, option });
    item.voted = option;
    data.result = told.result;
  } catch (error) {
    trouble = error.code ? error : { message: say("vote.unreachable"), hint: say("vote.try_again") };
    if (error.code === "VOTING_CLOSED") await look().catch(() => {}); // looked at again at the end
  } finally {
    sending = false;
    draw();
  }
}

function go(to) {
  place = Math.max(0, Math.min(to, data.items.length));
  shown = data.items[place]?.voted ?? 0;
  trouble = null;
  draw();
  scrollTo(0, 0);
}

const left = () => data.items.filter((item) => item.voted === null).length;

// ---- the parts ----------------------------------------------------------------------------------

function choices(item) {
  return Array.from({ length: item.options }, (_, option) => option);
}

function content(item, option) {
  if (!data.pictures) return el("div", { class: "v-answer", lang: "" }, item.answers[option]);
  const address = `/vote/${data.code}/picture/${item.item}/${option}?for=${data.mark}`;
  return el("img", { src: address, alt: say("vote.option", { letter: LETTERS[option] }), draggable: "false" });
}

function option(item, number) {
  return el(
    "figure",
    { class: "v-option", data: { option: number, shown: number === shown, voted: item.voted === number } },
    el("figcaption", {}, LETTERS[number]),
    content(item, number),
    WIDE.matches ? choose(item, number) : "",
  );
}

function choose(item, number) {
  const taken = item.voted === number;
  const key = taken ? "vote.chosen" : data.question === "reference" ? "vote.is_reference" : "vote.prefer_this";
  return el(
    "button",
    {
      type: "button",
      class: `v-choose${taken ? " v-taken" : ""}`,
      disabled: sending || !data.open,
      "aria-pressed": String(taken),
      onclick: () => vote(number),
    },
    say(key, { letter: LETTERS[number] }),
  );
}

function tabs(item) {
  return el(
    "div",
    { class: "v-tabs", role: "tablist" },
    choices(item).map((number) =>
      el(
        "button",
        {
          type: "button",
          role: "tab",
          "aria-selected": String(number === shown),
          data: { voted: item.voted === number },
          onclick: () => show(number),
        },
        LETTERS[number],
      ),
    ),
  );
}

// Turn to another option without drawing the pictures anew.
function show(number) {
  const { options } = data.items[place];
  shown = (number + options) % options;
  for (const figure of main.querySelectorAll(".v-option")) {
    figure.dataset.shown = Number(figure.dataset.option) === shown;
  }
  main.querySelector(".v-act")?.replaceWith(act(data.items[place]));
}

function act(item) {
  if (WIDE.matches) return el("div", { class: "v-act" });
  return el("div", { class: "v-act" }, tabs(item), choose(item, shown));
}

function listen(stage) {
  let from = null;
  stage.addEventListener("pointerdown", (event) => (from = event.isPrimary ? event : null));
  stage.addEventListener("pointerup", (event) => {
    if (!from || WIDE.matches) return;
    const [x, y] = [event.clientX - from.clientX, event.clientY - from.clientY];
    from = null;
    if (Math.abs(x) >= SWIPE_PX && Math.abs(x) > Math.abs(y)) show(shown + (x < 0 ? 1 : -1));
    else if (data.pictures && Math.hypot(x, y) < 10) show(shown + 1);
  });
  return stage;
}

// The stage of an item stays while its buttons change, so that no picture flickers.
function stage(item) {
  const kept = main.querySelector(".v-stage");
  const figures = choices(item).map((number) => option(item, number));
  if (kept?.dataset.item !== String(item.item) || kept.dataset.beside !== String(WIDE.matches)) {
    const kind = data.pictures ? "v-pictures" : "v-answers";
    const about = { item: item.item, beside: WIDE.matches };
    return listen(el("div", { class: `v-stage ${kind}`, data: about, style: `--options: ${item.options}` }, figures));
  }
  [...kept.children].forEach((figure, number) => {
    Object.assign(figure.dataset, { ...figures[number].dataset });
    const button = figures[number].querySelector(".v-choose");
    if (button) figure.querySelector(".v-choose").replaceWith(button);
  });
  return kept;
}

function head() {
  const total = data.items.length;
  const bar = data.items.map((item, number) =>
    el("i", { data: { done: item.voted !== null, now: number === place } }),
  );
  return el(
    "header",
    { class: "v-head" },
    el("div", { class: "v-progress", "aria-hidden": "true" }, bar),
    place < total ? el("h1", {}, question(data)) : "",
    place < total ? el("p", { class: "v-prompt" }, el("b", {}, `${place + 1}/${total}`), " ", data.items[place].prompt) : "",
  );
}

function foot() {
  const item = data.items[place];
  const last = place === data.items.length - 1;
  return el(
    "footer",
    { class: "v-foot" },
    el("button", { type: "button", class: "v-back", disabled: place === 0, onclick: () => go(place - 1) }, say("vote.back")),
    el(
      "button",
      {
        type: "button",
        class: item.voted === null ? "v-next" : "v-next v-go",
        onclick: () => go(place + 1),
      },
      say(item.voted === null ? "vote.skip" : last ? "vote.finish" : "vote.next"),
    ),
  );
}

function told() {
  if (!trouble) return "";
  return el("div", { class: "v-trouble", role: "alert", data: { code: trouble.code ?? "" } }, el("p", {}, trouble.message), el("p", {}, trouble.hint));
}

function end() {
  const open = left();
  const words = data.result ? "" : open ? say("vote.left", { count: open }) : say("vote.thanks_wait");
  return [
    el("h1", {}, data.result ? (data.open ? say("vote.result_so_far") : say("vote.result")) : say("vote.thanks")),
    words ? el("p", { class: "v-words" }, words) : "",
    data.result ? drawResult(data.result) : "",
    data.open
      ? el("footer", { class: "v-foot" }, el("button", { type: "button", class: "v-back", onclick: () => go(firstOpen()) }, say(open ? "vote.vote_left" : "vote.look_again")))
      : "",
  ];
}

function firstOpen() {
  const found = data.items.findIndex((item) => item.voted === null);
  return found < 0 ? 0 : found;
}

// ---- drawing and news ---------------------------------------------------------------------------

function draw() {
  clearTimeout(timer);
  document.body.toggleAttribute("data-wide", WIDE.matches);
  if (place >= data.items.length) {
    main.replaceChildren(head(), told(), el("section", { class: "v-end" }, end()));
    timer = setTimeout(lookAndDraw, LOOK_MS);
    return;
  }
  const item = data.items[place];
  main.replaceChildren(...[head(), stage(item), told(), act(item), foot()].filter(Boolean));
  fetchAhead(data.items[place + 1]);
}

function fetchAhead(item) {
  if (!item || !data.pictures) return;
  for (const number of choices(item)) content(item, number);
}

async function look() {
  const { open, result } = await ask("/result");
  const changed = JSON.stringify([open, result]) !== JSON.stringify([data.open, data.result]);
  Object.assign(data, { open, result });
  if (!open) place = data.items.length;
  return changed;
}

async function lookAndDraw() {
  const changed = document.hidden ? false : await look().catch(() => false);
  if (changed) return draw();
  timer = setTimeout(lookAndDraw, LOOK_MS);
}

function entrance() {
  const field = el("input", {
    class: "v-code",
    id: "code",
    placeholder: "K7QM-2XTR",
    autocomplete: "off",
    autocapitalize: "characters",
    spellcheck: "false",
    maxlength: "12",
    required: true,
  });
  const enter = (event) => {
    event.preventDefault();
    location.assign(`/vote/${encodeURIComponent(field.value.replace(/[\s-]/g, "").toUpperCase())}`);
  };
  main.replaceChildren(
    el(
      "form",
      { class: "v-entrance", onsubmit: enter },
      el("h1", {}, say("vote.entrance")),
      told(),
      el("label", { for: "code" }, say("vote.code")),
      field,
      el("button", { class: "v-choose" }, say("vote.enter")),
    ),
  );
}

if (data.items) {
  WIDE.addEventListener("change", draw);
  go(data.open ? firstOpen() : data.items.length);
  if (data.open && !left()) go(data.items.length);
} else {
  trouble = data.problem ?? null;
  entrance();
}
document.body.dataset.ready = "true";
