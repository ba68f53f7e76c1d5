// Sizes that suit the chosen model, and seeds.
const RATIOS = { "1:1": 1, "4:3": 4 / 3, "3:4": 3 / 4, "16:9": 16 / 9, "9:16": 9 / 16 };
const TOLERANCE = 0.04;

let limits = () => undefined;

export function setLimits(all, variant) {
  limits = () => all[variant().split("/")[0]];
}

// Width and height of an aspect: about the native area, within the limits, in whole multiples.
export function sizeOf(aspect) {
  const { native_width, native_height, min_side, max_side, multiple } = limits();
  const ratio = RATIOS[aspect];
  const height = Math.sqrt((native_width * native_height) / ratio);
  const shrink = Math.min(1, max_side / Math.max(height, height * ratio));
  const fit = (side) =>
    Math.max(min_side, Math.min(max_side, Math.round((side * shrink) / multiple) * multiple));
  return [fit(height * ratio), fit(height)];
}

export function aspectOf(width, height) {
  const near = ([, ratio]) => Math.abs(width / height / ratio - 1) < TOLERANCE;
  return Object.entries(RATIOS).find(near)?.[0] ?? null;
}

export function roll() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}
