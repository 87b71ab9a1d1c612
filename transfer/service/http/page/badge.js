/** A state as a small plate: its drawing and its word, tinted. */

import { el, icon, setAttribute, setIcon, setText } from "./dom.js";
import { prose } from "./format.js";

export class Badge {
  #icon = icon("dot");
  #word = el("span");

  constructor() {
    this.element = el("span.badge", {}, this.#icon, this.#word);
  }

  update(look) {
    setAttribute(this.element, "data-tone", look.tone);
    setIcon(this.#icon, look.icon);
    setText(this.#word, prose(look.word));
  }
}
