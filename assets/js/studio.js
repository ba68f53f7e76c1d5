// The page's own part of the front end. Gradio calls in through `window.studio`.
import { listenForActions } from "./actions.js";
import { chatActions, chatChanged, chatTakes, mountChat, reopenChat } from "./chat/chat.js";
import { compareActions, compareTakes, mountCompare, reopenCompare } from "./compare/tab.js";
import { listenForDrops } from "./drop.js";
import { FIELDS, applySettings, rememberForm, restoreForm } from "./form.js";
import { engineActions, enginesChanged, mountEngines } from "./engines.js";
import { drawHistory, mountHistory } from "./history.js";
import { layerActions } from "./layers.js";
import { offerActions } from "./offer.js";
import { serverActions } from "./servers.js";
import { storageActions } from "./storage.js";
import { listenForKeys } from "./keys.js";
import { onNews, refresh, setEmpty, show, take, view } from "./live.js";
import { mountOnnx } from "./onnx.js";
import { mountQuantizeResults, resultActions, showQuantizeResult } from "./quantize/result.js";
import { mountQuantize, quantizeActions, quantizeTakes } from "./quantize/wizard.js";
import { drawModels, mountPicker } from "./picker.js";
import { post } from "./server.js";
import { aspectOf, roll, sizeOf } from "./sizes.js";

// Gradio puts up its components in no particular order.
const NEEDED = ["#status", "#stage", "#queue", "#picker-list", "#tools", ...FIELDS];
const LOOK_AGAIN_MS = 20;
const LEAST_SEEN_PX = 120;

let notice = () => {};
const stageUp = {};
const pickerUp = {};
const up = Promise.all(
  [stageUp, pickerUp].map((part) => new Promise((resolve) => (part.mount = resolve))),
);

async function start() {
  const [{ element, trigger, props, watch }, picker] = await up;
  while (!NEEDED.every((selector) => document.querySelector(selector))) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  const card = element.querySelector("#notice");
  notice = (html) => {
    card.innerHTML = html;
    if (html) card.scrollIntoView({ block: "nearest" });
  };
  watch("value", () => receive(props.value));
  applySettings.through = (settings) => trigger("select", { settings });
  mountPicker(picker);
  mountHistory();
  rememberForm();
  await Promise.all([refresh(), loadModels()]);
  restoreForm();
  document.body.dataset.side = localStorage.getItem("studio.side") ?? "open";
  document.body.dataset.ready = "true";
  reopenChat();
  reopenCompare();
}

// The answer to Generate: a job and the first news of it, or the card that tells what is wrong.
function receive(answer) {
  notice(answer?.error ?? "");
  if (!answer?.job) return;
  view.pinned = "";
  take(answer.news);
  refresh();
  const stage = document.getElementById("stage");
  if (stage.getBoundingClientRect().top > innerHeight - LEAST_SEEN_PX) {
    stage.scrollIntoView({ block: "center" });
  }
}

async function stop() {
  const job = view.running ? view.job : view.live[0];
  if (job) await act(`jobs/${job}/cancel`);
}

// Ask for a change and show what came of it.
async function act(path, body) {
  try {
    const done = await post(path, body);
    notice("");
    return done;
  } catch (error) {
    if (error.html === undefined) throw error;
    notice(error.html);
  } finally {
    await refresh();
  }
}

async function loadModels() {
  setEmpty(await drawModels());
}

onNews((before, drawn) => {
  if (before.live.join() !== view.live.join()) {
    drawHistory();
    loadModels();
    enginesChanged();
    chatChanged();
  }
  if (drawn.includes("status")) {
    const resident = [...document.querySelectorAll("#status .s-chip")].map(
      ({ dataset: { key, phase = "", busy } }) => `${key} ${phase} ${busy !== undefined}`,
    );
    if (loadModels.seen !== undefined && loadModels.seen !== resident.join()) {
      loadModels();
      enginesChanged();
      chatChanged();
    }
    loadModels.seen = resident.join();
  }
});

const tell = (html) => notice(html);
listenForActions({
  act,
  applySettings,
  show,
  more: {
    ...engineActions({ show }),
    ...layerActions,
    ...offerActions,
    ...serverActions,
    ...storageActions,
    ...chatActions,
    ...resultActions,
    ...quantizeActions,
    ...compareActions,
    "visitors-reset": () => act("visitors/reset"),
  },
});
listenForDrops({
  applySettings,
  notice: tell,
  elsewhere: (files) => [chatTakes, quantizeTakes, compareTakes].some((takes) => takes(files)),
});
listenForKeys({ stop });
window.studio = {
  mountStage: stageUp.mount,
  mountPicker: pickerUp.mount,
  mountOnnx,
  mountEngines,
  mountChat,
  mountQuantizeResults,
  showQuantizeResult,
  mountQuantize,
  mountCompare,
  stop,
  sizeOf,
  aspectOf,
  roll,
};
start();
