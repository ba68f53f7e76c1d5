// Requests to our own server.

export async function get(path, query = {}, signal = undefined) {
  return answer(await fetch(`/studio/${path}?${new URLSearchParams(query)}`, { signal }));
}

export async function post(path, body) {
  const raw = body instanceof Blob;
  return answer(
    await fetch(`/studio/${path}`, {
      method: "POST",
      headers: { "x-studio-page": "1", ...(raw ? {} : { "content-type": "application/json" }) },
      body: raw ? body : JSON.stringify(body ?? {}),
    }),
  );
}

// A failure that the server explains; `html` is its card.
export class Refused extends Error {
  constructor(status, html) {
    super(`refused with ${status}`);
    this.status = status;
    this.html = html;
  }
}

async function answer(response) {
  if (response.ok) return response.json();
  const body = await response.json().catch(() => ({}));
  throw new Refused(response.status, body.html);
}
