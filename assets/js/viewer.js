// A picture over the whole window: fitted, or at one picture dot per screen dot.
let dialog;

export function openViewer(index) {
  dialog ??= build();
  dialog.pictures = [...document.querySelectorAll("#stage .s-pictures figure a[download]")];
  display(index);
  dialog.showModal();
}

function build() {
  const made = document.createElement("dialog");
  made.id = "viewer";
  made.innerHTML = '<img alt=""><button type="button" class="s-button">✕</button>';
  const [image, close] = made.children;
  close.ariaLabel = window.studioBoot.texts.close;
  close.addEventListener("click", () => made.close());
  image.addEventListener("click", () => made.toggleAttribute("data-actual"));
  made.addEventListener("click", (event) => event.target === made && made.close());
  made.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") display(made.index + 1);
    if (event.key === "ArrowLeft") display(made.index - 1);
  });
  document.body.append(made);
  return made;
}

function display(index) {
  const count = dialog.pictures.length;
  dialog.index = (index + count) % count;
  const figure = dialog.pictures[dialog.index].closest("figure");
  const shown = figure.querySelector("img");
  Object.assign(dialog.firstChild, { src: shown.src, alt: shown.alt });
  dialog.toggleAttribute("data-actual", false);
}
