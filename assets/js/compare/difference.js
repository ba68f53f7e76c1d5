// How far two pictures are apart, pixel by pixel, from their lossless files.
export const SCALES = ["auto", "8", "16", "32", "64", "128", "255"];
const KEPT = 6;
const decoded = new Map();

// The pixels of a PNG as they were written: nothing is converted, scaled or premultiplied.
export function pixels(source) {
  const found = decoded.get(source) ?? decode(source);
  decoded.delete(source);
  decoded.set(source, found);
  found.catch(() => decoded.delete(source));
  if (decoded.size > KEPT) decoded.delete(decoded.keys().next().value);
  return found;
}

async function decode(source) {
  const bitmap = await createImageBitmap(await blobOf(source), {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const canvas = document.createElement("canvas");
  const { width, height } = Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, width, height);
}

async function blobOf(source) {
  if (!source.startsWith("data:")) {
    const answer = await fetch(source);
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.blob();
  }
  const [head, body] = source.split(",", 2);
  const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: head.slice("data:".length).split(";")[0] });
}

// The largest difference over the channels of every pixel, of 255; null of unequal sizes.
export function difference(a, b) {
  if (a.width !== b.width || a.height !== b.height) return null;
  const values = new Uint8Array(a.width * a.height);
  let [largest, sum, differing] = [0, 0, 0];
  for (let pixel = 0, at = 0; pixel < values.length; pixel++, at += 4) {
    const red = Math.abs(a.data[at] - b.data[at]);
    const green = Math.abs(a.data[at + 1] - b.data[at + 1]);
    const blue = Math.abs(a.data[at + 2] - b.data[at + 2]);
    const most = Math.max(red, green, blue);
    values[pixel] = most;
    sum += most;
    if (most > largest) largest = most;
    if (most) differing++;
  }
  const { width, height } = a;
  return { width, height, values, largest, mean: sum / values.length, share: differing / values.length };
}

export function fullScale(scale, largest) {
  return scale === "auto" ? Math.max(largest, 1) : Number(scale);
}

export function paintDifference(canvas, { width, height, values }, full) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  const colours = new Uint32Array(image.data.buffer);
  for (let pixel = 0; pixel < values.length; pixel++) {
    colours[pixel] = RAMP[Math.min(255, Math.round((values[pixel] * 255) / full))];
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export function paintScale(canvas) {
  Object.assign(canvas, { width: RAMP.length, height: 1 });
  const image = new ImageData(RAMP.length, 1);
  new Uint32Array(image.data.buffer).set(RAMP);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Lightness grows evenly from black over red to pale yellow, in Oklab (B. Ottosson, 2020).
const RAMP = Uint32Array.from({ length: 256 }, (_, step) => {
  const share = step / 255;
  const chroma = 0.17 * Math.sin(Math.PI * share);
  const hue = ((300 + 160 * share) * Math.PI) / 180;
  return packed(0.97 * share, chroma * Math.cos(hue), chroma * Math.sin(hue));
});

function packed(lightness, a, b) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const red = encoded(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
  const green = encoded(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
  const blue = encoded(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function encoded(linear) {
  const value = linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
  return Math.round(255 * Math.min(Math.max(value, 0), 1));
}
