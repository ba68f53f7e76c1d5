// report.html: a comparison without the studio.
import { drawReport } from "./view.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
drawReport(document.getElementById("view"), read("report"), {
  file: (name) => name,
  language: "en",
  texts: read("texts").en,
});
