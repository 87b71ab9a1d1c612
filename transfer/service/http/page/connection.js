/**
 * The stream of events, kept open: whatever ends it, it is opened again, after pauses that grow.
 *
 * Guarantees:
 *   - It is `live` only while the stream is open and the service was heard within `STALE_AFTER_MS`: its
 *     comment line every 15 s counts, so silence beyond that is the network's.
 *   - Before every opening all is loaded anew, so that nothing which happened in between is missed.
 *   - A token that is refused ends it: asking again would not help.
 */

import { EventParser } from "./event_stream.js";

export const STALE_AFTER_MS = 20_000;
const GIVE_UP_AFTER_MS = 45_000;
const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

/** Milliseconds by the clock that went on furthest: one is set back, the other may rest while a laptop sleeps. */
class Age {
  #wall = Date.now();
  #steady = performance.now();

  get ms() {
    return Math.max(Date.now() - this.#wall, performance.now() - this.#steady);
  }
}

export class Connection {
  /** How it is: "connecting", "live", "stale" or "lost". */
  state = "connecting";
  /** When the service was heard last; null before. */
  lastNews = null;
  /** Why the last try failed. */
  problem = "";

  #age = null;
  #open = false;
  #ended = new AbortController();
  #attempt = null;
  #wake = () => {};

  /**
   * @param {import("./api.js").Api} api
   * @param {object} take
   * @param {() => Promise<void>} take.load load all that is there
   * @param {(name: string, data: object) => void} take.event one event
   * @param {(connection: Connection) => void} take.change the state, or the time it stands still, is another one
   */
  constructor(api, take) {
    this.api = api;
    this.take = take;
  }

  /** Seconds since the service was heard. */
  get silence_s() {
    return this.#age === null ? 0 : Math.floor(this.#age.ms / 1000);
  }

  start() {
    this.clock = setInterval(() => this.#look(), 1000);
    this.#run();
  }

  stop() {
    clearInterval(this.clock);
    this.#ended.abort();
    this.#attempt?.abort();
    this.#wake();
  }

  /** Do not wait for the end of the pause. */
  tryNow() {
    this.#wake();
  }

  async #run() {
    for (let failures = 0; !this.#ended.signal.aborted; failures++) {
      try {
        await this.#follow(() => (failures = 0));
        this.problem = "The service ended the connection.";
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        if (error.status === 401) return;
        this.problem = error.status === undefined ? "The connection broke off." : error.message;
      }
      if (this.#ended.signal.aborted) return;
      this.#open = false;
      this.#look();
      await this.#pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]);
    }
  }

  async #follow(opened) {
    this.#attempt = new AbortController();
    await this.take.load();
    const response = await this.api.events(this.#attempt.signal);
    opened();
    this.#open = true;
    this.#hear();
    const parser = new EventParser();
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#hear();
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        this.take.event(event.name, JSON.parse(event.data));
      }
    }
  }

  #hear() {
    this.lastNews = new Date();
    this.#age = new Age();
    if (this.state !== "live") this.#look();
  }

  #look() {
    const silence_ms = this.#age?.ms ?? 0;
    const before = this.state;
    if (!this.#open) this.state = this.lastNews ? "lost" : this.problem ? "lost" : "connecting";
    else this.state = silence_ms > STALE_AFTER_MS ? "stale" : "live";
    if (this.#open && silence_ms > GIVE_UP_AFTER_MS) this.#attempt.abort();
    if (this.state !== before || this.state !== "live") this.take.change(this);
  }

  #pause(duration_ms) {
    // Not all at once: a dock may have many screens.
    const jittered_ms = duration_ms * (0.75 + Math.random() / 2);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, jittered_ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
