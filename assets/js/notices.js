// Cards that say what was done or refused. A user's action clears the card that stands; a mere look
// at the server clears only a refusal of the same look.
import { Refused } from "./server.js";

const ACTION = "action";

export function notices(id) {
  const card = () => document.getElementById(id);

  function notice(html, about = ACTION) {
    card().innerHTML = html;
    card().dataset.about = about;
    if (html) card().scrollIntoView({ block: "nearest" });
  }

  // What the server answers; a refusal is shown, and answered with nothing.
  async function explained(asked, about = ACTION) {
    try {
      const answer = await asked;
      if (about === ACTION || about === card().dataset.about) notice("");
      return answer;
    } catch (error) {
      if (!(error instanceof Refused) || error.html === undefined) throw error;
      notice(error.html, about);
      return {};
    }
  }

  return { notice, explained };
}
