// What the form holds, as this browser keeps it: a reload or a restart of the server loses nothing.
const STORE = "studio.compare";

export let state = {};

export function readState() {
  state = JSON.parse(sessionStorage.getItem(STORE) ?? localStorage.getItem(STORE) ?? "{}");
}

export function keep(changes) {
  Object.assign(state, changes);
  const told = JSON.stringify(state);
  for (const storage of [sessionStorage, localStorage]) {
    try {
      storage.setItem(STORE, told);
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      storage.removeItem(STORE); // a file too large to be kept counts until the page is closed
    }
  }
}

export const root = () => document.getElementById("compare");
export const part = (name) => document.getElementById(`compare-${name}`);
