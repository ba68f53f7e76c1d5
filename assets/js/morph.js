// Makes the children of `target` those of the HTML, keeping every node that is still there, so that
// open folds, focus, scroll positions and loaded pictures stay as they are.
export function morph(target, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  morphChildren(target, template.content);
}

const keyOf = (node) => node.dataset?.key ?? node.id ?? "";

function matches(old, fresh) {
  return old && old.nodeName === fresh.nodeName && (keyOf(old) || "") === (keyOf(fresh) || "");
}

function morphChildren(target, source) {
  let old = target.firstChild;
  for (const fresh of [...source.childNodes]) {
    if (!matches(old, fresh)) {
      const key = keyOf(fresh);
      const kept = key && [...target.children].find((node) => matches(node, fresh));
      target.insertBefore(kept || fresh, old);
      if (!kept) continue;
      morphNode(kept, fresh);
      continue;
    }
    const next = old.nextSibling;
    morphNode(old, fresh);
    old = next;
  }
  while (old) {
    const next = old.nextSibling;
    old.remove();
    old = next;
  }
}

function morphNode(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.dataset.asked) return; // a button that waits to be pressed again says so until then
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(old.nodeName === "DETAILS" && name === "open")) {
      old.removeAttribute(name);
    }
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.nodeName !== "SELECT") morphChildren(old, fresh);
}
