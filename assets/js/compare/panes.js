// The panes of a stage in one mode: pictures on one another, one beside the other, or a canvas.
import { el } from "./dom.js";

// What each pane shows, from the bottom up.
export function layout(mode, left, right, all) {
  if (mode === "all") return all.map((side) => [side]);
  const missing = !left.src || !right.src;
  return mode === "side" || missing ? [[left], [right]] : [[left, right]];
}

export function makePane(count, withCanvas, loaded) {
  const images = Array.from({ length: withCanvas ? 0 : count }, () =>
    el("img", { alt: "", draggable: "false", decoding: "async", onload: loaded }),
  );
  const canvas = withCanvas ? el("canvas", { role: "img" }) : null;
  const labels = Array.from({ length: withCanvas ? 0 : count }, () => el("span", { class: "cmp-label" }));
  const note = el("div", { class: "cmp-note" });
  const node = el("div", { class: "cmp-pane" }, images, canvas, labels, note);

  return {
    node,
    images,
    canvas,
    labels,
    fill(sides) {
      sides.forEach((side, index) => {
        if (withCanvas) return;
        const image = images[index];
        image.hidden = !side.src;
        if (side.src && image.getAttribute("src") !== side.src) image.src = side.src;
        image.alt = side.label;
        labels[index].textContent = side.label;
        if (side.simulated) labels[index].append(" ", el("em", {}, side.simulated));
      });
      const [said] = sides.filter((side) => !side.src);
      note.hidden = !said;
      note.replaceChildren(...[said?.note ?? ""].flat());
    },
    place({ left, top, width, height }, enlarged) {
      for (const drawn of [...images, canvas].filter(Boolean)) {
        Object.assign(drawn.style, {
          left: `${left}px`,
          top: `${top}px`,
          width: `${width}px`,
          height: `${height}px`,
          imageRendering: enlarged ? "pixelated" : "auto",
        });
      }
    },
  };
}
