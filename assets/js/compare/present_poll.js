// The blind test on the big screen: where to vote, and the result as it comes.
import { get, post } from "../server.js";
import { drawResult, question, say } from "./bars.js";
import { el } from "./dom.js";
import { linkOf, qrOf, spaced, unreachable } from "./poll.js";

const LOOK_MS = 1500;

export function makePollScreen(main, data, complain) {
  const dialog = el("dialog", { class: "p-dialog p-poll", "aria-label": say("present.poll") });
  let timer = 0;
  let result = false;
  let drawn = "";
  main.append(dialog);
  dialog.addEventListener("close", () => clearTimeout(timer));

  async function look() {
    clearTimeout(timer);
    if (!dialog.open) return;
    const { polls } = await get(`votes/${data.job}`).catch(() => ({}));
    const one = polls?.findLast((poll) => poll.open) ?? polls?.at(-1);
    const fresh = JSON.stringify([one, result]);
    if (polls && fresh !== drawn) {
      drawn = fresh;
      dialog.replaceChildren(...(one ? shown(one) : opening()));
    }
    timer = setTimeout(look, LOOK_MS);
  }

  async function act(path, body) {
    await post(path, body).catch(complain);
    drawn = "";
    look();
  }

  function opening() {
    const ask = (question, key) =>
      el(
        "button",
        {
          type: "button",
          class: "p-tool",
          data: { question },
          onclick: () => act(`votes/${data.job}`, { question, variants: data.variants.map((_, place) => place) }),
        },
        say(key),
      );
    return [
      el("h2", {}, say("vote.none_open")),
      el("div", { class: "p-row" }, ask("reference", "vote.ask_reference"), ask("prefer", "vote.ask_prefer")),
    ];
  }

  function shown(one) {
    const tool = (key, onclick) => el("button", { type: "button", class: "p-tool", onclick }, say(key));
    return [
      el("h2", {}, question(one)),
      el(
        "div",
        { class: "p-vote", data: { code: one.code } },
        el("figure", {}, qrOf(one.code)),
        el(
          "div",
          {},
          el("p", { class: "p-link" }, linkOf(one.code).replace(/^https?:\/\//, "")),
          el("p", { class: "p-code" }, spaced(one.code)),
          unreachable() ? el("p", { class: "v-note" }, say("vote.loopback")) : "",
          result || !one.open
            ? drawResult(one.result)
            : el("p", { class: "p-count" }, say("vote.so_far", { votes: one.result.votes, voters: one.result.voters })),
        ),
      ),
      el(
        "div",
        { class: "p-row" },
        one.open ? tool(result ? "vote.hide_result" : "vote.show_result", () => ((result = !result), look())) : "",
        one.open ? tool("vote.close", () => act(`votes/${one.code}/close`)) : tool("vote.reset", () => act(`votes/${one.code}/reset`)),
      ),
    ];
  }

  return {
    look,
    open: () => dialog.open,
    toggle() {
      if (dialog.open) return dialog.close();
      dialog.showModal();
      drawn = "";
      look();
    },
  };
}
