// The result of a blind vote: a bar for each variant with its interval, and where guessing lies.
import { el } from "./dom.js";

export function say(key, values = {}) {
  const text = window.studioBoot.texts[key];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

const QUESTIONS = {
  reference: { picture: "vote.which_reference_picture", answer: "vote.which_reference_answer" },
  prefer: { picture: "vote.which_prefer_picture", answer: "vote.which_prefer_answer" },
};

// What a poll or a ballot asks.
export function question({ question: asked, pictures }) {
  return say(QUESTIONS[asked][pictures ? "picture" : "answer"]);
}

const percent = (share) => `${Math.round(100 * share)} %`;
const at = (share) => `${(100 * share).toFixed(2)}%`;

export function drawResult(result) {
  const rows = result.shares.map((share, place) => bar(share, result.names[place], result));
  return el(
    "section",
    { class: "v-result", data: { votes: result.votes } },
    el("p", { class: "v-verdict" }, verdict(result)),
    el("ul", { class: "v-bars", style: `--chance: ${at(result.chance)}` }, rows),
    el(
      "p",
      { class: "v-small" },
      say("vote.counted", { votes: result.votes, voters: result.voters, chance: percent(result.chance) }),
    ),
  );
}

function bar(share, name, result) {
  const marked = share.variant === result.reference;
  const interval = `left: ${at(share.low)}; width: ${at(share.high - share.low)}`;
  const told = result.votes
    ? say("vote.interval", { low: percent(share.low), high: percent(share.high) })
    : "";
  return el(
    "li",
    { data: { variant: share.variant } },
    el(
      "div",
      { class: "v-name" },
      el("span", {}, name),
      marked ? el("em", {}, say("vote.reference_tag")) : "",
      el("b", {}, result.votes ? percent(share.share) : "–"),
    ),
    el(
      "div",
      { class: "v-bar", role: "img", "aria-label": `${percent(share.share)} ${told}` },
      el("i", { style: `width: ${at(share.share)}` }),
      result.votes ? el("u", { style: interval }) : "",
    ),
    el("div", { class: "v-small" }, say("vote.share", { votes: share.votes, interval: told })),
  );
}

// What the votes say, no more than their interval allows.
function verdict(result) {
  if (!result.votes) return say("vote.none");
  const asked = result.shares.find((share) => share.variant === result.reference);
  if (result.question === "reference") {
    if (asked.low > result.chance) return say("vote.told_apart");
    return say(asked.high < result.chance ? "vote.taken_for" : "vote.not_told");
  }
  const ahead = result.shares.findIndex((share) => share.low > result.chance);
  return ahead < 0 ? say("vote.no_favourite") : say("vote.favourite", { name: result.names[ahead] });
}
