// Two reports side by side; a stub until it is there.
export function drawBeside() {
  return { destroy() {} };
}
