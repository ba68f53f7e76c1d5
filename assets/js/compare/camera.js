// Which part of a picture is seen, and how large: one for all panes, which are of one size.
const MOST = 32;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export function makeCamera() {
  let scale = 0; // screen dots a picture dot; 0 fits it into the pane
  let [x, y] = [0.5, 0.5]; // what is in the middle, as shares of the picture
  let pane = { width: 1, height: 1 };
  let picture = { width: 1, height: 1 };

  const one = () => 1 / devicePixelRatio;
  const fit = () => Math.min(pane.width / picture.width, pane.height / picture.height);
  const current = () => scale || fit();

  // Where the picture lies in its pane, in CSS dots.
  function box() {
    const [width, height] = [picture.width * current(), picture.height * current()];
    const along = (room, size, middle) =>
      size <= room ? (room - size) / 2 : clamp(room / 2 - middle * size, room - size, 0);
    return { left: along(pane.width, width, x), top: along(pane.height, height, y), width, height };
  }

  function settle(left, top) {
    const { width, height } = box();
    [x, y] = [(pane.width / 2 - left) / width, (pane.height / 2 - top) / height];
    const now = box();
    [x, y] = [(pane.width / 2 - now.left) / width, (pane.height / 2 - now.top) / height];
  }

  function zoomTo(next, px = pane.width / 2, py = pane.height / 2) {
    const before = box();
    scale = next && clamp(next, Math.min(fit(), one()), MOST * one());
    const grown = current() * picture.width / before.width;
    settle(px - (px - before.left) * grown, py - (py - before.top) * grown);
  }

  return {
    box,
    zoomTo,
    resize(paneSize, pictureSize) {
      pane = paneSize;
      picture = pictureSize;
    },
    zoomBy(factor, px, py) {
      const [now, whole] = [current(), fit()];
      const passes = (now - whole) * (now * factor - whole) <= 0;
      zoomTo(passes && now !== whole ? 0 : now * factor, px, py);
    },
    panBy(dx, dy) {
      const { left, top } = box();
      settle(left + dx, top + dy);
    },
    toFit: () => zoomTo(0),
    toOne: (px, py) => zoomTo(one(), px, py),
    // Fitted to 1:1, or three times nearer where it is shown larger than that anyway; and back.
    toggle(px, py) {
      if (scale) zoomTo(0);
      else zoomTo(fit() < one() * 0.99 ? one() : fit() * 3, px, py);
    },
    isFit: () => scale === 0,
    larger: () => box().width > pane.width + 0.5 || box().height > pane.height + 0.5,
    percent: () => current() * devicePixelRatio * 100,
  };
}
