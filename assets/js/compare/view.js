// A comparison, drawn from its report alone: in the studio's page and in report.html.
export function drawReport(root, report, { file, language, texts }) {
  root.textContent = report.title;
  return { update() {} };
}
