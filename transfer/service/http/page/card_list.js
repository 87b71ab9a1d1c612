/**
 * A list of cards that shows the first of many and more on request.
 *
 * Cards are kept by their keys in `cards`, which lists may share: a card that goes from one list to another
 * stays the same element, with what was unfolded in it. Who holds thousands pays for those that are shown.
 */

import { arrange, setShown, setText } from "./dom.js";
import { count } from "./format.js";

export class CardList {
  /**
   * @param {Element} section with .list, .more and, in its title, .count
   * @param {object} options
   * @param {Map<string, object>} options.cards by key
   * @param {() => object} options.make a new card, with `element` and `update(...told)`
   * @param {number} options.atOnce how many there are at first, and how many each press brings
   * @param {() => void} options.changed what is to be shown is another part
   * @param {AbortSignal} options.ended the end of the list
   */
  constructor(section, { cards, make, atOnce, changed, ended }) {
    this.section = section;
    this.list = section.querySelector(".list");
    this.more = section.querySelector(":scope > .more");
    this.count = section.querySelector(".count");
    this.cards = cards;
    this.make = make;
    this.atOnce = atOnce;
    this.limit = atOnce;
    /** The key of the one that is shown wherever it stands. */
    this.pinned = null;
    const showMore = () => {
      this.limit += this.atOnce;
      changed();
    };
    this.more.addEventListener("click", showMore, { signal: ended });
  }

  /** Show items, each as [key, ...told]; gives the keys that are shown. */
  show(items) {
    const part = items.slice(0, this.limit);
    part.push(...items.slice(this.limit).filter(([key]) => key === this.pinned));
    arrange(this.list, part.map((item) => this.#card(item).element));
    setText(this.count, items.length ? count(items.length) : "");
    setShown(this.more, items.length > part.length);
    setText(this.more, `Show more (${count(items.length - part.length)} left)`);
    return part.map(([key]) => key);
  }

  #card([key, ...told]) {
    let card = this.cards.get(key);
    if (card === undefined) {
      card = this.make();
      this.cards.set(key, card);
    }
    card.update(...told);
    return card;
  }
}

/** Forget the cards that no list shows. */
export function forgetOthers(cards, shownKeys) {
  const kept = new Set(shownKeys);
  for (const key of cards.keys()) if (!kept.has(key)) cards.delete(key);
}

/** Do what moves elements, and leave the focus where it was: on the same element, or on the title of its card. */
export function keepingFocus(change) {
  const focused = document.activeElement;
  const card = focused?.closest(".card");
  change();
  if (!focused || focused === document.activeElement || focused === document.body) return;
  if (focused.isConnected && focused.checkVisibility()) focused.focus({ preventScroll: true });
  else if (card?.isConnected) card.querySelector("[tabindex='-1']").focus({ preventScroll: true });
}
