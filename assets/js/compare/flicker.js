// Two pictures in turns. At its fastest there are fewer than three flashes a second (WCAG 2.3.1).
export const FASTEST_MS = 200;
export const SLOWEST_MS = 2000;

export function makeFlicker(turned) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let timer = 0;
  let asked = null; // what its reader wants; without a word it follows the system's setting
  let active = false;
  let interval = 500;

  function restart() {
    clearInterval(timer);
    timer = runs() && active ? setInterval(turned, interval) : 0;
  }
  const runs = () => asked ?? !still.matches;
  still.addEventListener("change", restart);

  return {
    runs,
    interval: () => interval,
    activate(on) {
      if (on === active) return;
      active = on;
      restart();
    },
    every(ms) {
      interval = ms;
      restart();
    },
    play(on) {
      asked = on;
      restart();
    },
    destroy() {
      clearInterval(timer);
      still.removeEventListener("change", restart);
    },
  };
}
