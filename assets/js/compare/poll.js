// The owner's panel of blind tests on one comparison: opened, shown with link and code, counted.
import { get, post } from "../server.js";
import { drawResult, question, say } from "./bars.js";
import { el } from "./dom.js";

const LOOK_MS = 2000;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

export const linkOf = (code) => `${location.origin}/vote/${code}`;
export const spaced = (code) => `${code.slice(0, 4)}-${code.slice(4)}`;
export const unreachable = () => LOOPBACK.test(location.hostname);

export function qrOf(code) {
  const query = new URLSearchParams({ address: location.origin, code });
  return el("img", { class: "v-qr", src: `/studio/votes/qr?${query}`, alt: say("vote.qr", { link: linkOf(code) }) });
}

// The panel of the report with this id. It looks for news while it is seen, and ends with its removal.
export function mountPoll(root, report) {
  let drawn = "";
  let timer = 0;
  const notice = el("div", { class: "v-notice" });
  const list = el("div", { class: "v-panel" });
  const asking = el("div");
  const panel = el("div", { class: "v-panel" }, el("h2", {}, say("vote.panel")), notice, list, asking);
  root.replaceChildren(panel);

  async function act(path, body) {
    try {
      await post(path, body);
      notice.replaceChildren();
    } catch (error) {
      if (error.html === undefined) throw error;
      notice.innerHTML = error.html;
    }
    await look();
  }

  async function look() {
    clearTimeout(timer);
    if (!panel.isConnected) return;
    if (panel.checkVisibility() && !document.hidden) {
      const { polls } = await get(`votes/${report}`).catch(() => ({}));
      const fresh = JSON.stringify(polls);
      if (polls && fresh !== drawn) {
        drawn = fresh;
        list.replaceChildren(...polls.map(poll));
      }
    }
    clearTimeout(timer);
    timer = setTimeout(look, LOOK_MS);
  }

  function poll(one) {
    const tool = (key, action) =>
      el(
        "button",
        { type: "button", class: "s-button", data: { vote: action }, onclick: () => act(`votes/${one.code}/${action}`) },
        el("span", {}, say(key)),
      );
    return el(
      "article",
      { class: "v-poll", data: { code: one.code, open: one.open } },
      el(
        "div",
        {},
        el("h4", {}, question(one)),
        el("p", { class: "v-small" }, say(one.open ? "vote.is_open" : "vote.is_closed", { items: one.items })),
        drawResult(one.result),
        el("div", { class: "v-row" }, one.open ? tool("vote.close", "close") : "", tool("vote.reset", "reset"), tool("vote.delete", "delete")),
      ),
      el(
        "div",
        {},
        qrOf(one.code),
        el("b", { class: "v-link" }, spaced(one.code)),
        el("a", { class: "v-link", href: linkOf(one.code), target: "_blank" }, linkOf(one.code)),
        unreachable() ? el("p", { class: "v-note" }, say("vote.loopback")) : "",
      ),
    );
  }

  function opening(variants) {
    const radio = (value, key, checked) =>
      el("label", {}, el("input", { type: "radio", name: `question-${report}`, value, checked }), say(key));
    const tick = (name, variant) =>
      el("label", {}, el("input", { type: "checkbox", name: "variant", value: variant, checked: true }), name);
    const early = el("input", { type: "checkbox", name: "early", checked: true });
    const submit = (event) => {
      event.preventDefault();
      const form = event.target;
      const chosen = [...form.querySelectorAll('[name="variant"]:checked')].map((box) => Number(box.value));
      const question = form.querySelector('[type="radio"]:checked').value;
      act(`votes/${report}`, { question, variants: chosen, early: early.checked });
    };
    return el(
      "form",
      { class: "v-opening", onsubmit: submit },
      el(
        "fieldset",
        {},
        el("legend", {}, say("vote.question")),
        el("div", { class: "v-row" }, radio("reference", "vote.ask_reference", true), radio("prefer", "vote.ask_prefer", false)),
      ),
      el("fieldset", {}, el("legend", {}, say("vote.variants")), el("div", { class: "v-row" }, variants.map(tick))),
      el("div", { class: "v-row" }, el("label", {}, early, say("vote.early"))),
      el("div", { class: "v-row" }, el("button", { class: "s-button" }, el("span", {}, say("vote.open")))),
    );
  }

  get(`votes/${report}/variants`).then((names) => asking.replaceChildren(opening(names)), () => {});
  look();
}
