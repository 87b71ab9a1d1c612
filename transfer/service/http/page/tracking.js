/** The way of a shipment: five steps with their times; folded up once the device is there. */

import { el, icon, setAttribute, setShown, setText, unseen } from "./dom.js";
import { day, dayAndClock, prose, shown } from "./format.js";
import { STEPS } from "./phases.js";

// A drill compresses days to seconds: beyond this the papers and the clock are told apart.
const SIMULATED_AFTER_MS = 60_000;

export class Tracking {
  #summary = el("span");
  #steps = STEPS.map(([, word]) => step(word));
  #simulated = el("p.hint", { text: "Times by the carrier’s papers; the drill itself went faster." });
  #source = el("bdi.name");
  #shipment = el("span.name");
  #state = null;

  constructor() {
    this.element = el(
      "details.tracking",
      {},
      el("summary", {}, icon("chevron"), this.#summary),
      el("ol.steps", {}, ...this.#steps.map((entry) => entry.element)),
      this.#simulated,
      el("dl.facts", {}, el("div", {}, el("dt", { text: "Taken from" }), el("dd", {}, this.#source)),
        el("div", {}, el("dt", { text: "Shipment" }), el("dd", {}, this.#shipment))),
    );
  }

  update(tracking, now) {
    setShown(this.element, tracking !== null);
    if (tracking === null) return;
    const times = new Map(tracking.events.map((event) => [event.state, event]));
    setText(this.#summary, summary(tracking, times, now));
    STEPS.forEach(([state], index) => showStep(this.#steps[index], times.get(state), state === tracking.state, now));
    setShown(this.#simulated, tracking.events.some(isSimulated));
    setText(this.#source, shown(tracking.source));
    setText(this.#shipment, shown(tracking.shipment_id));
    // Whoever opened or closed it keeps it so until the shipment goes on.
    if (this.#state !== tracking.state) this.element.open = tracking.state !== "docked";
    this.#state = tracking.state;
  }
}

function step(word) {
  const done = unseen("");
  const time = el("time");
  const element = el("li", {}, el("span.knot", {}, icon("check")), el("span.word", { text: word }, done), time);
  return { element, time, done };
}

function showStep({ element, time, done }, event, isCurrent, now) {
  element.dataset.reached = event ? "yes" : "no";
  setAttribute(element, "aria-current", isCurrent ? "step" : null);
  setText(done, event ? "" : ", not yet");
  setText(time, event ? dayAndClock(new Date(event.simulated), now) : "");
  setAttribute(time, "datetime", event?.simulated);
  setAttribute(time, "title", event && `really ${event.real}`);
}

function summary(tracking, times, now) {
  const [, word = prose(tracking.state)] = STEPS.find(([state]) => state === tracking.state) ?? [];
  const event = times.get(tracking.state);
  if (tracking.state === "docked") return event ? `Docked ${dayAndClock(new Date(event.simulated), now)}` : word;
  return tracking.state === "delivered" ? word : `${word}, due ${day(new Date(tracking.due), now)}`;
}

function isSimulated(event) {
  return Math.abs(new Date(event.simulated) - new Date(event.real)) > SIMULATED_AFTER_MS;
}
