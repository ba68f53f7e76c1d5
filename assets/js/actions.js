// What the buttons inside the live parts do. They are drawn by the server with `data-action`.
import { copyOut } from "./clipboard.js";
import { setPrompt } from "./form.js";
import { drawHistory, showMore } from "./history.js";
import { openViewer } from "./viewer.js";

const CONFIRM_MS = 4000;
// Where a job is looked at; all other kinds on the Engines tab.
const TABS = {
  ...{ generate: "images", serve: "chat", compare: "compare", compare_text: "compare" },
  ...{ quantize: "quantize", quantize_images: "quantize", push: "quantize" },
};

export function listenForActions({ act, applySettings, show, more }) {
  const actions = {
    cancel: ({ job }) => act(`jobs/${job}/cancel`),
    retry: async ({ job }) => {
      await act(`jobs/${job}/retry`);
      await show();
    },
    delete: async ({ job }) => {
      await act(`jobs/${job}/delete`);
      await show();
      await drawHistory();
    },
    unload: ({ key }) => act("unload", { key }),
    show: async ({ job, kind }) => {
      openTab(TABS[kind ?? "generate"] ?? "engines");
      await show(job);
      document.dispatchEvent(new CustomEvent("studio:show", { detail: { job, kind } }));
      if (kind && kind !== "generate") return;
      document.getElementById("stage").scrollIntoView({ block: "nearest" });
    },
    more: showMore,
    ...more,
    reuse: ({ request }) => applySettings(JSON.parse(request)),
    example: ({ prompt }, button) => {
      setPrompt(prompt);
      button.closest("details")?.removeAttribute("open");
    },
    side: () => {
      const { side } = document.body.dataset;
      document.body.dataset.side = side === "closed" ? "open" : "closed";
      localStorage.setItem("studio.side", document.body.dataset.side);
    },
    view: ({ index }) => openViewer(Number(index)),
    copy: (_, button) => copyText(button),
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-action]");
    if (!button || (button.dataset.confirm && !confirmed(button))) return;
    actions[button.dataset.action](button.dataset, button);
  });

  document.addEventListener("change", (event) => {
    const { choice } = event.target.dataset;
    if (choice) choose(choice, event.target.value);
  });

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.s-menu[open], details.s-hint[open]")) {
      if (!menu.contains(event.target)) menu.removeAttribute("open");
    }
  });
}

export function openTab(name) {
  document.getElementById(`tab-${name}-button`)?.click();
}

// The first press asks, the second one within a few seconds does it.
function confirmed(button) {
  if (button.dataset.asked) return true;
  const label = button.querySelector("span") ?? button.appendChild(document.createElement("span"));
  const before = label.textContent;
  label.textContent = button.dataset.confirm;
  button.dataset.asked = "true";
  setTimeout(() => {
    delete button.dataset.asked;
    if (before) label.textContent = before;
    else label.remove();
  }, CONFIRM_MS);
  return false;
}

function copyText(button) {
  return copyOut(button.parentElement.querySelector("pre, code").textContent, button);
}

function choose(choice, value) {
  document.cookie = `studio_${choice}=${value}; path=/; max-age=31536000; samesite=lax`;
  if (choice === "theme") window.studioTheme(value);
  else location.reload();
}
