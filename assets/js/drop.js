// A picture that was made here gives its settings back: dropped anywhere, or chosen by the button.
// What is dropped goes to `elsewhere` first, which answers whether it was for a tab of its own.
import { post } from "./server.js";

export function listenForDrops({ applySettings, notice, elsewhere }) {
  const hasFile = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  const over = (change) => {
    depth = change === null ? 0 : Math.max(0, depth + change);
    document.body.toggleAttribute("data-dropping", depth > 0);
  };

  addEventListener("dragenter", (event) => hasFile(event) && over(1));
  addEventListener("dragleave", (event) => hasFile(event) && over(-1));
  addEventListener("dragover", (event) => hasFile(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    over(null);
    if (!elsewhere(event.dataTransfer.files)) take(event.dataTransfer.files[0]);
  });
  document.addEventListener("change", (event) => {
    if (event.target.id !== "settings-file") return;
    take(event.target.files[0]);
    event.target.value = "";
  });

  async function take(file) {
    try {
      applySettings(await post("settings", file));
      notice("");
    } catch (error) {
      if (error.html === undefined) throw error;
      notice(error.html);
    }
  }
}
