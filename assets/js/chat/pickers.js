// Which server answers in each column, and what the page knows of it.
import { get } from "../server.js";
import { columnOf, pickersNow } from "./columns.js";

const STORE = "studio.chat.servers";

let known = { options: "", servers: {}, none: "", gone: "", unreached: false, empty: "" };
let looks = 0;

// Looks which servers there are; answers whether that is news.
export async function readPickers() {
  const mine = ++looks;
  const fresh = await get("chat/pickers");
  if (mine !== looks) return false;
  const news = JSON.stringify(fresh) !== JSON.stringify(known);
  known = fresh;
  return news;
}

export const anyReady = () => Object.values(known.servers).some(({ ready }) => ready);
export const outsideUnreached = () => known.unreached;
export const emptyHtml = () => known.empty;
export const chosenServers = () => pickersNow().map((picker) => picker.value);
export const chosenKnown = () => chosenServers().map((key) => known.servers[key]).filter(Boolean);

// Fills the pickers in; `wanted` are the servers of the conversation, column by column. Where one
// has `begun`, a server that is gone stays chosen.
export function drawPickers(wanted, begun) {
  const kept = JSON.parse(localStorage.getItem(STORE) ?? "[]");
  pickersNow().forEach((picker, place) => {
    const chosen = wanted?.[place] ?? picker.value;
    const stays = known.servers[chosen] || (begun && chosen);
    const key = stays ? chosen : usable(kept[place], place);
    picker.innerHTML = known.options;
    if (key && !known.servers[key]) add(picker, key, known.gone.replace("{server}", key));
    if (!key) add(picker, "", known.none);
    picker.value = key;
    drawMark(picker);
  });
}

// The server that was asked last, else one that is ready: another one in the second column.
function usable(last, place) {
  const ready = Object.keys(known.servers).filter((key) => known.servers[key].ready);
  if (ready.includes(last)) return last;
  return ready[Math.min(place, ready.length - 1)] ?? "";
}

// The first column's picker, set to a ready server of this model or of a plain copy of it; nothing
// where there is none.
export function chooseServerOf(model) {
  const fits = (key) => key.startsWith(`${model}/`) || key.startsWith(`${model}-simulated-`);
  const key = Object.keys(known.servers).find((one) => fits(one) && known.servers[one].ready);
  if (!key) return undefined;
  const [picker] = pickersNow();
  picker.value = key;
  return picker;
}

function add(picker, value, words) {
  const option = new Option(words, value);
  option.disabled = true;
  picker.prepend(option);
}

export function drawMark(picker) {
  const mark = columnOf(picker).querySelector(".c-mark");
  mark.innerHTML = known.servers[picker.value]?.mark ?? "";
}

export function rememberServers() {
  localStorage.setItem(STORE, JSON.stringify(chosenServers()));
}
