// The columns: one conversation, or two side by side, each with a picker and its messages.
import { followAnswers, leaveAnswers, rememberFolds } from "./stream.js";
import { keepAtEnd } from "./scroll.js";

const MOST = 2;

let template = "";
let told = {};

const root = () => document.getElementById("chat-columns");
const columns = () => [...root().children];
const messagesOf = (column) => column.querySelector(".c-messages");

// `listeners`: ended, lost, picked.
export function mountColumns(html, listeners) {
  template = html;
  told = listeners;
  rememberFolds(root());
}

export function setColumns(count) {
  while (columns().length > count) root().lastElementChild.remove();
  while (columns().length < Math.min(count, MOST)) {
    const holder = document.createElement("template");
    holder.innerHTML = template;
    const column = root().appendChild(holder.content.firstElementChild);
    column.dataset.place = columns().length - 1;
    const [scroller, button] = [".c-scroll", ".c-to-end"].map((each) => column.querySelector(each));
    column.toEnd = keepAtEnd(scroller, messagesOf(column), button);
    column.querySelector(".c-picker").addEventListener("change", () => told.picked(column));
  }
  root().dataset.count = count;
}

// Messages from the place `first` of each column on; those before it are there already.
export function drawColumns(drawn) {
  setColumns(drawn.length);
  drawn.forEach(({ conversation, first, html, meter }, place) => {
    const column = columns()[place];
    const messages = messagesOf(column);
    if (first === 0) messages.replaceChildren();
    while (messages.children.length > first) messages.lastElementChild.remove();
    messages.insertAdjacentHTML("beforeend", html);
    column.dataset.conversation = conversation;
    drawMeter(column, meter);
    column.toEnd();
  });
  follow();
}

export function follow() {
  followAnswers(root(), told);
}

// A conversation that has not begun.
export function drawEmpty(html, count) {
  leaveAnswers();
  setColumns(count);
  for (const column of columns()) {
    delete column.dataset.conversation;
    drawMeter(column, "");
    messagesOf(column).innerHTML = column.dataset.place === "0" ? html : "";
  }
}

export function drawMeter(column, html) {
  column.querySelector(".c-meter").innerHTML = html;
}

export const writing = () => [...root().querySelectorAll('.c-answer[data-state="writing"]')];
export const columnOf = (element) => element.closest(".c-column");
export const pickersNow = () => columns().map((column) => column.querySelector(".c-picker"));
