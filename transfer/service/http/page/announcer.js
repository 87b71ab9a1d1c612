/**
 * Changes of phase for those who listen to the page: one polite sentence at a time, numbers never.
 *
 * Many at once become one sentence with their count.
 */

import { setText } from "./dom.js";
import { counted, jobName, shown } from "./format.js";
import { deviceLook, jobLook } from "./phases.js";

const MOST_AT_ONCE = 3;
// Long enough to gather what comes together, short enough to be news.
const GATHER_MS = 300;

export class Announcer {
  #element = document.getElementById("announcer");
  #waiting = [];
  #timer = null;

  /** A job was told; `before` is what it was, undefined for a new one. */
  job(before, job) {
    const word = jobLook(job).word;
    if (before && jobLook(before).word === word) return;
    this.say(`${jobName(job)}: ${word.toLowerCase()}`);
  }

  device(device) {
    if (device.state === "refused") this.say(`${shown(device.folder)}: ${deviceLook(device).word.toLowerCase()}`);
  }

  say(sentence) {
    this.#waiting.push(sentence);
    this.#timer ??= setTimeout(() => this.#speak(), GATHER_MS);
  }

  /** Be silent, and leave nothing that was said. */
  stop() {
    clearTimeout(this.#timer);
    setText(this.#element, "");
  }

  #speak() {
    const sentences = this.#waiting;
    this.#waiting = [];
    this.#timer = null;
    const isMany = sentences.length > MOST_AT_ONCE;
    setText(this.#element, isMany ? `${counted(sentences.length, "change")} at the dock` : sentences.join(". "));
  }
}
