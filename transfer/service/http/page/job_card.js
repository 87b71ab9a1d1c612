/** A job as a card: large while it moves or needs somebody, one line that unfolds when it is finished. */

import { Badge } from "./badge.js";
import { arrange, el, icon, setAttribute, setIcon, setShown, setText } from "./dom.js";
import { Failures } from "./failures.js";
import { count, counted, dayAndClock, jobName, localProse, missingDevices, shown, size } from "./format.js";
import { JobActions } from "./job_actions.js";
import { jobLook } from "./phases.js";
import { ProgressLanes } from "./progress_lanes.js";
import { ReportFiles } from "./report_files.js";

export class JobCard {
  #name = el("bdi");
  #ordinal = el("span.ordinal");
  #badge = new Badge();
  #fold = el("button.quiet.fold", { type: "button", on: { click: () => this.#turn() } }, icon("chevron"));
  #folder = el("bdi.folder");
  #destination = el("bdi");
  #set = el("p.summary.missing");
  #summary = el("p.summary");
  #noteIcon = icon("alert");
  #noteText = el("span");
  #note = el("p.plate", {}, this.#noteIcon, this.#noteText);
  #lanes = new ProgressLanes();
  #counters = el("ul.counters");
  #isOpen = false;
  #job = null;

  constructor(page) {
    this.failures = new Failures(page.api, page.seen);
    this.actions = new JobActions(page);
    this.files = new ReportFiles(page.api);
    this.body = el(
      "div.body",
      {},
      this.#note,
      this.#lanes.element,
      this.#counters,
      this.failures.element,
      this.actions.message,
      this.files.message,
      el("footer", {}, this.actions.element, this.files.element),
    );
    this.element = el(
      "article.card.job",
      {},
      el("header", {}, el("h4", { tabindex: "-1" }, this.#name, this.#ordinal), this.#badge.element, this.#fold),
      el("p.route", {}, this.#folder, icon("arrow"), this.#destination),
      this.#set,
      this.#summary,
      this.body,
    );
  }

  update(job, now) {
    this.#job = job;
    const look = jobLook(job);
    setAttribute(this.element, "id", `job-${job.job_id}`);
    setAttribute(this.element, "data-tone", look.tone);
    setAttribute(this.element, "data-phase", job.phase);
    setText(this.#name, shown(job.device_job));
    setText(this.#ordinal, `device ${job.ordinal}`);
    this.#badge.update(look);
    setAttribute(this.#folder, "data-gone", job.folder === null);
    setText(this.#folder, job.folder === null ? "not in the dock any more" : shown(job.folder));
    setText(this.#destination, shown(job.destination));
    setAttribute(this.#destination, "title", job.endpoint && `at ${job.endpoint}`);
    this.#showFold(look.group === "finished", now);
    this.#showNote(job, now);
    this.#lanes.update(job, now);
    setText(this.#set, missingDevices(job));
    setShown(this.#set, job.devices_missing.length > 0);
    showCounters(this.#counters, job);
    for (const part of [this.failures, this.actions, this.files]) part.update(job);
  }

  #showFold(isFinished, now) {
    const job = this.#job;
    this.element.classList.toggle("compact", isFinished);
    setShown(this.#fold, isFinished);
    setShown(this.#summary, isFinished);
    setShown(this.body, !isFinished || this.#isOpen);
    setAttribute(this.#fold, "aria-expanded", String(this.#isOpen));
    setAttribute(this.#fold, "aria-label", `Details of ${jobName(job)}`);
    const { objects, bytes } = job.counters;
    const when = dayAndClock(new Date(job.changed), now);
    setText(this.#summary, `${counted(objects, "object")}, ${size(bytes)} · ${when}`);
  }

  #turn() {
    this.#isOpen = !this.#isOpen;
    this.update(this.#job, new Date());
  }

  #showNote(job, now) {
    const { tone, text, drawing } = note(job);
    setShown(this.#note, Boolean(text));
    setAttribute(this.#note, "data-tone", tone);
    setText(this.#noteText, localProse(text, now));
    setIcon(this.#noteIcon, drawing);
  }
}

function note(job) {
  if (jobLook(job).group !== "moving") return { tone: "bad", text: job.error, drawing: "alert" };
  if (job.paused) return { tone: "calm", text: "Paused. It goes on where it stopped when it is resumed.", drawing: "pause" };
  if (job.waiting) return { tone: jobLook(job).tone, text: job.waiting, drawing: "clock" };
  return { tone: "warn", text: job.error, drawing: "alert" };
}

function showCounters(list, { counters }) {
  const told = [
    ["objects", `${count(counters.objects)} in the bucket, ${size(counters.bytes)}`],
    ["failed", `${count(counters.failed)} failed`],
    ["skipped", `${count(counters.skipped)} skipped`],
    ["superseded", `${count(counters.superseded)} replaced by a later run`],
  ].filter(([name]) => name === "objects" || name === "failed" || counters[name] > 0);
  const rows = told.map(([name], index) => list.children[index] ?? el("li", { "data-counter": name }));
  told.forEach(([name, text], index) => {
    setAttribute(rows[index], "data-counter", name);
    setAttribute(rows[index], "data-some", counters[name] > 0 ? "yes" : "no");
    setText(rows[index], text);
  });
  arrange(list, rows);
}
