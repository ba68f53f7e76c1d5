// report.html: a comparison without the studio, in the browser's language and theme until others are chosen.
import { choice, el } from "./dom.js";
import { speaker } from "./figures.js";
import { drawReport } from "./view.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const root = document.getElementById("view");
const [report, errors, texts] = [read("report"), read("errors"), read("texts")];
const dark = matchMedia("(prefers-color-scheme: dark)");
const languages = { en: "English", ko: "한국어" };
let language = navigator.language.startsWith("ko") ? "ko" : "en";
let theme = "system";
let drawn = null;

// Failures in the words of the language: each is found by its place in the report.
function inLanguage() {
  const said = structuredClone(report);
  for (const [place, words] of Object.entries(errors[language])) {
    Object.assign(place.split("/").reduce((value, part) => value[part], said), words);
  }
  return said;
}

function colour() {
  document.documentElement.classList.toggle("dark", theme === "dark" || (theme === "system" && dark.matches));
}

function draw() {
  const say = speaker(texts[language]);
  document.documentElement.lang = language;
  drawn?.destroy();
  const view = el("div");
  const themes = [
    ["system", say("compare.report.system")],
    ["light", say("compare.report.light")],
    ["dark", say("compare.report.dark")],
  ];
  root.replaceChildren(
    el(
      "nav",
      { class: "cmp-choices", "aria-label": say("compare.report.choices") },
      choice(say("compare.report.language"), Object.entries(languages), language, (chosen) => {
        language = chosen;
        draw();
        root.querySelector("nav select").focus();
      }),
      choice(say("compare.report.theme"), themes, theme, (chosen) => {
        theme = chosen;
        colour();
      }),
    ),
    view,
  );
  drawn = drawReport(view, inLanguage(), { file: () => "", language, texts: texts[language] });
}

// On paper everything is unfolded.
function unfold() {
  for (const folded of document.querySelectorAll("details:not([open])")) {
    folded.open = true;
    addEventListener("afterprint", () => (folded.open = false), { once: true });
  }
}

dark.addEventListener("change", colour);
addEventListener("beforeprint", unfold);
colour();
draw();
