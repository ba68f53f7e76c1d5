// Figures and names as people read them, in the units that the rest of the studio uses.
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const RUNTIMES = { torch: "PyTorch", onnxruntime: "ONNX Runtime", tensorrt: "TensorRT" };
export const NONE = "–";

// Says a text of the catalogue with its values filled in.
export function speaker(texts) {
  return (key, values = {}) =>
    (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

const given = (show) => (value) => (value === null || value === undefined ? NONE : show(value));

export const bytes = given((size) => {
  let unit = 0;
  for (; Math.abs(size) >= 1024 && unit < UNITS.length - 1; unit++) size /= 1024;
  return `${size.toFixed(unit ? 1 : 0)} ${UNITS[unit]}`;
});

export const milliseconds = given((ms) => {
  if (ms >= 10_000) return seconds(ms / 1000);
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
});

export const seconds = given((s) => {
  if (s < 1) return milliseconds(s * 1000);
  if (s < 60) return `${s.toFixed(s < 10 ? 2 : 1)} s`;
  const whole = Math.round(s);
  const pad = (part) => String(part).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${pad(whole % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
});

export const decibels = given((db) => `${db.toFixed(1)} dB`);
export const joules = given((j) => (j < 10_000 ? `${j.toFixed(j < 100 ? 1 : 0)} J` : `${(j / 1000).toFixed(1)} kJ`));
export const ratio = given((value) => `${value.toFixed(2)}×`);
export const similarity = given((value) => value.toFixed(4));
export const number = given((value) => value.toFixed(2));
export const small = given((value) => value.toFixed(4));
export const percent = given((share) => `${(share * 100).toFixed(1)} %`);
export const speed = given((value) => `${value.toFixed(1)} tok/s`);
export const count = given((value) => String(value));

export const precisionName = (precision) => precision.toUpperCase();
export const runtimeName = (runtime) => RUNTIMES[runtime] ?? runtime;
export const variantName = ({ precision, runtime }) =>
  `${precisionName(precision)} · ${runtimeName(runtime)}`;

export const serverName = ({ model, title }) => `${model} · ${title}`;

export function moment(made_at, language) {
  const date = new Date(made_at * 1000);
  return date.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}
