/** A device of the dock as a card. */

import { Badge } from "./badge.js";
import { el, icon, setAttribute, setIcon, setShown, setText } from "./dom.js";
import { percent, prose, shown, size } from "./format.js";
import { deviceLook, jobLook } from "./phases.js";
import { Tracking } from "./tracking.js";

export class DeviceCard {
  #title = el("bdi.name");
  #badge = new Badge();
  #facts = el("p.facts");
  #reason = el("span");
  #note = el("p.plate", {}, icon("alert"), this.#reason);
  #link = el("a", { on: { click: (event) => this.#reveal(event) } });
  #jobIcon = icon("arrow");
  #job = el("p.link", {}, this.#jobIcon, this.#link);
  #tracking = new Tracking();
  #jobId = null;

  /** @param {(jobId: string) => void} reveal bring a job before the eyes */
  constructor(reveal) {
    this.reveal = reveal;
    this.element = el(
      "article.card.device",
      {},
      el("header", {}, el("h3", { tabindex: "-1" }, this.#title), this.#badge.element),
      this.#facts,
      this.#note,
      this.#job,
      this.#tracking.element,
    );
  }

  /**
   * @param device a DeviceView
   * @param job the JobView of its job; undefined where it has none or it was not told yet
   */
  update(device, job, now) {
    const look = deviceLook(device);
    setAttribute(this.element, "data-state", device.state);
    setText(this.#title, shown(device.folder));
    this.#badge.update(look);
    setText(this.#facts, facts(device));
    setAttribute(this.#facts, "title", device.device_id && `device id ${device.device_id}`);
    setShown(this.#note, Boolean(device.reason));
    setAttribute(this.#note, "data-tone", device.state === "refused" ? "bad" : "calm");
    setText(this.#reason, reason(device));
    this.#showJob(job);
    this.#tracking.update(device.tracking, now);
  }

  #showJob(job) {
    setShown(this.#job, job !== undefined);
    this.#jobId = job?.job_id ?? null;
    if (job === undefined) return;
    const look = jobLook(job);
    setAttribute(this.#job, "data-tone", look.tone);
    setIcon(this.#jobIcon, look.icon);
    setText(this.#link, jobText(job));
    setAttribute(this.#link, "href", `#job-${encodeURIComponent(job.job_id)}`);
  }

  #reveal(event) {
    event.preventDefault();
    this.reveal(this.#jobId);
  }
}

function reason(device) {
  const text = prose(device.reason ?? "");
  return device.state === "refused" ? `Not taken: ${text}` : text;
}

function facts(device) {
  const told = [];
  if (device.job !== null) told.push(`${shown(device.job)}, device ${device.ordinal}`);
  if (device.size_bytes !== null) told.push(size(device.size_bytes));
  return told.join(" · ") || "Nothing on it says what it is.";
}

function jobText(job) {
  const { progress } = job;
  const done = progress?.bytes_total ? `, ${percent(progress.bytes_imported, progress.bytes_total)} %` : "";
  return `Job: ${prose(jobLook(job).word).toLowerCase()}${done}`;
}
