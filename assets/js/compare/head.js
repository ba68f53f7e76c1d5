// What was compared, of which model, with which settings, where.
import { el, facts, fold } from "./dom.js";
import { moment, serverName, variantName } from "./figures.js";
import { machineFacts } from "./pieces.js";

export function drawHead({ say, language }) {
  const title = el("h1");
  const about = el("p", { class: "cmp-quiet" });
  const request = el("div");
  const machine = el("div");
  return {
    node: el(
      "header",
      { class: "cmp-head" },
      title,
      about,
      fold(say("compare.request.label"), request, matchMedia("(min-width: 700px)").matches),
      fold(say("compare.machine.label"), machine),
    ),
    update(report, asked) {
      title.textContent = report.title;
      const subject = report.model_name ?? [...new Set(report.variants.map((each) => each.model))].join(" · ");
      about.textContent = [subject, report.machine.device, moment(report.made_at, language)].join(" · ");
      request.replaceChildren(facts(asked));
      machine.replaceChildren(facts(machineFacts(report.machine, say)));
    },
  };
}

export function requestFacts(report, say) {
  const { request } = report;
  return [
    [say("compare.request.variants"), report.variants.map(variantName).join(", ")],
    [say("compare.request.steps"), String(request.steps)],
    [say("compare.request.guidance"), String(request.guidance)],
    [say("compare.request.size"), `${request.width} × ${request.height}`],
    [say("compare.request.prompts"), String(request.prompts.length)],
    [say("compare.request.seeds"), request.seeds.join(", ")],
    [say("compare.request.negative"), request.negative_prompt],
    [
      say("compare.request.embeddings"),
      say(request.share_embeddings ? "compare.request.shared" : "compare.request.each"),
    ],
    [say("compare.request.model"), report.source],
    [say("compare.request.fingerprint"), report.fingerprint.slice(0, 16)],
  ];
}

export function textRequestFacts(report, say) {
  const { request } = report;
  const given = Object.entries(request.sampling).filter(([, value]) => value !== null && value?.length !== 0);
  const servers = report.variants.map(serverName);
  return [
    [say("compare.request.variants"), servers.join(", ")],
    [say("compare.request.prompts"), String(request.prompts.length)],
    [say("compare.request.system"), request.system],
    ...given.map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]),
    [say("compare.request.order"), say(report.together ? "compare.request.together" : "compare.request.apart")],
  ];
}
