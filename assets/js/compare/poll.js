// The panel of a blind vote; a stub until it is there.
export function mountPoll() {}
