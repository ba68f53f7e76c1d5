// Ctrl+Enter generates, or adds to the queue while a job runs; Esc stops what runs. The Chat and
// Compare tabs have keys of their own, the Quantise tab none.
const OTHERS = ["chat", "compare", "quantize"];

export function listenForKeys({ stop }) {
  document.addEventListener(
    "keydown",
    (event) => {
      if (OTHERS.some((id) => document.getElementById(id)?.checkVisibility())) return;
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        event.stopPropagation();
        const offer = document.querySelector("#offer button");
        if (offer) return offer.focus();
        const live = document.body.hasAttribute("data-live");
        document.getElementById(live ? "enqueue" : "generate").click();
      }
      if (event.key === "Escape" && !event.defaultPrevented) escape(event, stop);
    },
    true,
  );
}

function escape(event, stop) {
  const open = document.querySelector("details.s-menu[open], details.s-hint[open]");
  if (open) open.removeAttribute("open");
  else if (!document.querySelector("dialog[open]") && event.target.type !== "search") stop();
}
