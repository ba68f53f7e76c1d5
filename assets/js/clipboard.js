// Text to the clipboard, also on a page that came without TLS, where browsers have no clipboard.
const SHOWN_MS = 1500;

export async function copyOut(text, button) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else copyOldWay(text);
  const label = button.querySelector("span") ?? button.appendChild(document.createElement("span"));
  const before = label.textContent;
  label.textContent = window.studioBoot.texts.copied;
  setTimeout(() => (before ? (label.textContent = before) : label.remove()), SHOWN_MS);
}

function copyOldWay(text) {
  const field = document.body.appendChild(document.createElement("textarea"));
  field.value = text;
  field.select();
  document.execCommand("copy");
  field.remove();
}
