// Elements made without HTML: what they say is always text.
const SVG = "http://www.w3.org/2000/svg";

function dress(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(made.dataset, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== ""));
  return made;
}

export function el(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

export function button(words, onclick, attributes = {}) {
  return el("button", { type: "button", class: "cmp-button", onclick, ...attributes }, words);
}

// A choice of one from several, as a select with its label.
export function choice(label, options, chosen, onchange) {
  const select = el(
    "select",
    { "aria-label": label, onchange: () => onchange(select.value) },
    options.map(([value, words]) => el("option", { value, selected: value === chosen }, words)),
  );
  return select;
}

export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return el(
    "dl",
    { class: "cmp-facts" },
    shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
}

export function fold(words, content, open = false) {
  return el("details", { class: "cmp-fold", open }, el("summary", {}, words), content);
}
