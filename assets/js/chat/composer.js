// The field that one writes in: keys, growth, pictures, and a text that no failure loses.
const STORE = "studio.chat.text";
const NEAR = 0.9;
const MOST_HEIGHT = 0.4;

const form = () => document.getElementById("chat-composer");
const field = () => document.getElementById("chat-text");
const sendButton = () => document.getElementById("chat-send");
const stopButton = () => document.getElementById("chat-stop");

let pictures = [];
let instead = null;
let before = "";
let sending = false;
let takesPictures = false;
let busyNow = false;

// `send({ text, images, instead_of })` answers whether the server took it.
export function mountComposer({ send, stop }) {
  const submit = async () => {
    if (sending || busyNow || isEmpty()) return;
    sending = true;
    look();
    try {
      const taken = await send({ text: field().value, images: pictures, instead_of: instead });
      if (taken) clear();
    } finally {
      sending = false;
      look();
    }
  };
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field().addEventListener("input", () => look());
  field().addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  form().addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (instead) cancelEdit();
    else if (busyNow) stop();
  });
  field().addEventListener("paste", ({ clipboardData }) => addPictures(clipboardData.files));
  form().addEventListener("change", ({ target }) => {
    if (target.id !== "chat-picture-file") return;
    addPictures(target.files);
    target.value = "";
  });
  document.getElementById("chat-pictures").addEventListener("click", ({ target }) => {
    const place = target.closest("button")?.dataset.place;
    if (place === undefined) return;
    pictures.splice(place, 1);
    drawPictures();
  });
  field().value = sessionStorage.getItem(STORE) ?? "";
  look();
}

const isEmpty = () => !field().value.trim() && pictures.length === 0;

// Buttons, height and the count of characters, after any change. While an answer is written, Stop
// is where Send was.
export function look(busy = busyNow) {
  busyNow = busy;
  const { value, dataset } = field();
  sessionStorage.setItem(STORE, value.length > Number(dataset.limit) ? "" : value);
  field().style.height = "auto";
  field().style.height = `${Math.min(field().scrollHeight + 2, innerHeight * MOST_HEIGHT)}px`;
  const limit = Number(dataset.limit);
  const count = document.getElementById("chat-length");
  const near = value.length > limit * NEAR;
  count.textContent = near ? `${value.length.toLocaleString()} / ${limit.toLocaleString()}` : "";
  count.toggleAttribute("data-over", value.length > limit);
  sendButton().disabled = sending || isEmpty();
  sendButton().hidden = busy;
  stopButton().hidden = !busy;
}

export function setText(text) {
  field().value = text;
  look();
  field().focus();
}

function clear() {
  field().value = "";
  pictures = [];
  instead = null;
  before = "";
  drawEditing();
  drawPictures();
}

export function setCompletion(on) {
  field().dataset.say ??= field().placeholder;
  const words = on ? field().dataset.continue : field().dataset.say;
  field().placeholder = words;
  field().ariaLabel = words;
}

// A question is put into the field again; sending it asks that instead.
export function edit(turn, text, images) {
  if (!instead) before = field().value;
  instead = turn;
  pictures = images;
  drawEditing();
  drawPictures();
  setText(text);
}

export function cancelEdit() {
  if (!instead) return;
  instead = null;
  pictures = [];
  drawEditing();
  drawPictures();
  setText(before);
}

function drawEditing() {
  document.getElementById("chat-editing").hidden = !instead;
}

export function allowPictures(allowed) {
  takesPictures = allowed;
  document.getElementById("chat-picture").hidden = !allowed;
  if (!allowed && pictures.length) {
    pictures = [];
    drawPictures();
  }
}

// Pictures among the files, where the model takes any; answers whether it does.
export function addPictures(files) {
  if (!takesPictures) return false;
  for (const file of [...files].filter(({ type }) => type.startsWith("image/"))) {
    const reader = new FileReader();
    reader.onload = () => {
      pictures.push(reader.result);
      drawPictures();
    };
    reader.readAsDataURL(file);
  }
  return true;
}

function drawPictures() {
  const { chat_picture_remove: words } = window.studioBoot.texts;
  document.getElementById("chat-pictures").replaceChildren(
    ...pictures.map((address, place) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", title: words, ariaLabel: words });
      button.dataset.place = place;
      button.appendChild(new Image()).src = address;
      return button;
    }),
  );
  look();
}
