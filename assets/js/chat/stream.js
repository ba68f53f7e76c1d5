// An answer while it is written: what changed comes as server-sent events, and only that is drawn.
import { morph } from "../morph.js";

const AGAIN_MS = 1000;

const sources = new Map();

// Follows all answers below `root` that are being written. `ended(article)` is told of each end,
// `lost()` when an answer cannot be followed any more.
export function followAnswers(root, { ended, lost }) {
  for (const article of root.querySelectorAll('.c-answer[data-state="writing"]')) {
    const { turn, conversation } = article.dataset;
    if (sources.get(turn)?.article.isConnected) continue;
    leave(turn);
    const query = new URLSearchParams({ conversation });
    const source = new EventSource(`/studio/chat/answers/${turn}?${query}`);
    sources.set(turn, { source, article });
    source.onmessage = ({ data }) => {
      const news = JSON.parse(data);
      if (!("end" in news)) return draw(article, news);
      leave(turn);
      finish(article, news);
      ended(article);
    };
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return;
      leave(turn);
      setTimeout(lost, AGAIN_MS);
    };
  }
}

export function leaveAnswers() {
  for (const turn of [...sources.keys()]) leave(turn);
}

function leave(turn) {
  sources.get(turn)?.source.close();
  sources.delete(turn);
}

function draw(article, news) {
  const fold = article.querySelector(".c-reasoning");
  fold.hidden = !news.thought;
  fold.querySelector(".c-thought").textContent = news.thought;
  if (!fold.dataset.touched) fold.open = news.thinking;
  drawBlocks(fold.querySelector(".c-blocks"), news.reasoning);
  drawBlocks(article.querySelector(".c-text"), news.text);
  morph(article.querySelector(".c-line"), news.line);
}

function drawBlocks(holder, { blocks, count }) {
  while (holder.children.length > count) holder.lastElementChild.remove();
  for (const [place, html] of Object.entries(blocks)) {
    while (holder.children.length <= place) {
      holder.appendChild(document.createElement("div")).className = "c-block";
    }
    morph(holder.children[place], html);
  }
}

function finish(article, { end, state, said }) {
  const fold = article.querySelector(".c-reasoning");
  if (!fold.dataset.touched) fold.open = false;
  morph(article, end);
  article.dataset.state = state;
  article.removeAttribute("aria-busy");
  document.getElementById("chat-said").textContent = said;
}

// A fold that its reader opened or shut stays so.
export function rememberFolds(root) {
  root.addEventListener("click", ({ target }) => {
    const fold = target.closest(".c-reasoning > summary")?.parentElement;
    if (fold) fold.dataset.touched = "true";
  });
}
