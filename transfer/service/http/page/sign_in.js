/**
 * Who looks: asks for a token, holds it in sessionStorage, which dies with the tab, and gives it back.
 *
 * A token that the service does not know is forgotten at once.
 */

import { Api, ApiError } from "./api.js";
import { setShown, setText } from "./dom.js";
import { prose } from "./format.js";

const KEY = "transfer.token";
// What a header can carry; anything else is no token, and fetch() would not send it.
const TOKEN = /^[\x21-\x7e]{1,256}$/;
const NOT_VALID =
  "This token is not valid here. Look whether all of it was pasted; it may also have expired or been revoked.";

export class SignIn {
  #view = document.getElementById("sign-in");
  #input = document.getElementById("token");
  #problem = document.getElementById("token-problem");
  #isBusy = false;

  /** @param {(api: Api, who: {name: string, role: string}) => void} entered */
  constructor(entered) {
    this.entered = entered;
    this.#view.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try(this.#input.value.trim());
    });
  }

  /** Go in with the token of this tab, or ask for one. */
  async start() {
    const token = stored();
    if (token === null) this.ask("");
    else await this.#try(token);
  }

  /** Forget the token and ask for another one; `why` is said above the form. */
  ask(why) {
    forget();
    this.#input.value = "";
    setText(this.#problem, why);
    setShown(this.#view, true);
    this.#input.focus();
  }

  async #try(token) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    setText(this.#problem, "");
    try {
      const api = new Api(token);
      const who = await this.#who(api, token);
      keep(token);
      this.#input.value = "";
      setShown(this.#view, false);
      this.entered(api, who);
    } catch (error) {
      this.#refuse(error);
    }
    this.#isBusy = false;
  }

  #who(api, token) {
    if (!TOKEN.test(token)) throw new ApiError(401, NOT_VALID);
    return api.whoami();
  }

  #refuse(error) {
    if (error.status === 401) return this.ask(NOT_VALID);
    // The token may be good, the service is not there: it stays where it was.
    setShown(this.#view, true);
    setText(this.#problem, prose(error.message));
    this.#input.focus();
  }
}

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // the browser keeps nothing for this page
  }
}

function keep(token) {
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // It holds until the page is left.
  }
}

/** Nothing of the token is left behind. */
export function forget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was kept.
  }
}
