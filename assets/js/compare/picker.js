// Which prompt and seed is on the stage, and which two variants.
import { button, el } from "./dom.js";
import { variantName } from "./figures.js";

export function makePicker({ say, file, place, changed }) {
  const title = el("p", { class: "cmp-words" });
  const seed = el("span", { class: "cmp-quiet" });
  const strip = el("div", { class: "cmp-strip", role: "group", "aria-label": say("compare.pick.items") });
  const left = select("left", say("compare.pick.left"));
  const right = select("right", say("compare.pick.right"));
  const swap = () => {
    [place.left, place.right] = [place.right, place.left];
    changed();
  };
  const around = el(
    "span",
    { class: "cmp-group" },
    button("←", () => step(-1), { "aria-label": say("compare.pick.previous") }),
    seed,
    button("→", () => step(1), { "aria-label": say("compare.pick.next") }),
  );
  const pair = el(
    "div",
    { class: "cmp-row" },
    left,
    button("⇄", swap, { "aria-label": say("compare.pick.swap") }),
    right,
    around,
  );
  let report = null;
  let items = [];

  function select(name, label) {
    const onchange = (event) => {
      place[name] = Number(event.target.value);
      changed();
    };
    return el("select", { "aria-label": label, data: { side: name }, onchange });
  }

  function step(by) {
    const at = items.findIndex((item) => item.prompt === place.prompt && item.seed === place.seed);
    go(items[(at + by + items.length) % items.length]);
  }

  function go({ prompt, seed: chosen }) {
    Object.assign(place, { prompt, seed: chosen });
    changed();
  }

  function build() {
    const { prompts, seeds } = report.request;
    items = prompts.flatMap((words, prompt) =>
      seeds.map((value, at) => {
        const label = say("compare.pick.item", { prompt: prompt + 1, seed: value });
        const item = { prompt, seed: at, image: el("img", { alt: "", loading: "lazy", hidden: true }) };
        item.node = button("", () => go(item), { "aria-label": label, title: `${words}\n${label}` });
        item.node.replaceChildren(item.image);
        return item;
      }),
    );
    strip.replaceChildren(...items.map((item) => item.node));
    strip.hidden = around.hidden = items.length < 2;
    for (const made of [left, right]) {
      made.replaceChildren(...report.variants.map((_, index) => el("option", { value: index })));
    }
  }

  function optionWords(variant, index) {
    const marks = [index === report.reference && say("compare.reference")];
    marks.push(variant.simulated && say("compare.simulated"));
    const said = marks.filter(Boolean).join(", ");
    return `${variantName(variant)}${said && ` (${said})`}`;
  }

  return {
    node: el("div", { class: "cmp-pick" }, title, pair),
    strip,
    step,
    update(fresh) {
      report = fresh;
      if (!items.length) build();
      const { request, pictures } = report;
      for (const option of [...left.options, ...right.options]) {
        const words = optionWords(report.variants[option.value], Number(option.value));
        if (option.textContent !== words) option.textContent = words;
      }
      [left.value, right.value] = [String(place.left), String(place.right)];
      title.textContent = request.prompts[place.prompt];
      seed.textContent = say("compare.pick.seed", { seed: request.seeds[place.seed] });
      const pictured = new Map();
      for (const each of pictures) {
        const key = `${each.prompt}-${each.seed}`;
        if (!pictured.has(key) || each.variant === report.reference) pictured.set(key, each.file);
      }
      for (const item of items) {
        const there = pictured.get(`${item.prompt}-${item.seed}`);
        if (there && item.image.hidden) {
          item.image.src = file(there);
          item.image.hidden = false;
        }
        const now = item.prompt === place.prompt && item.seed === place.seed;
        item.node.setAttribute("aria-pressed", now);
      }
    },
  };
}
