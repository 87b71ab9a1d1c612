/**
 * Server-sent events out of text as it comes (WHATWG HTML §9.2.6), whatever the pieces. Pure.
 *
 * Knows the fields `event` and `data`, which are all that the service sends; comments and others are passed over.
 */

// One event is one device or one job: far below this. Beyond it somebody else is talking.
const MAX_WAITING_CHARACTERS = 4 << 20;

export class EventParser {
  #rest = "";
  #name = "";
  #data = [];

  /**
   * Take the next piece.
   *
   * @param {string} text
   * @returns {{name: string, data: string}[]} the events that are complete with it
   */
  push(text) {
    const events = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    if (this.#rest.length > MAX_WAITING_CHARACTERS) throw new RangeError("an event without end");
    for (const line of lines) {
      if (line) this.#field(line);
      else this.#dispatch(events);
    }
    return events;
  }

  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#name = value;
    if (name === "data") this.#data.push(value);
  }

  #dispatch(events) {
    if (this.#data.length) events.push({ name: this.#name || "message", data: this.#data.join("\n") });
    this.#name = "";
    this.#data = [];
  }
}
