/** How far a job is: how much, how fast, until when; and what was verified beside what was imported. */

import { el, setAttribute, setShown, setText } from "./dom.js";
import { count, jobName, moment, percent, rate, remaining, size } from "./format.js";

export class ProgressLanes {
  #part = figure();
  #rate = figure();
  #end = figure();
  #verified = lane("Verified", "verified");
  #imported = lane("Imported", "imported");

  constructor() {
    this.element = el(
      "div.progress",
      {},
      el("div.figures", {}, this.#part.element, this.#rate.element, this.#end.element),
      el("div.lanes", {}, ...this.#verified.cells, ...this.#imported.cells),
    );
  }

  update(job, now) {
    const { progress } = job;
    setShown(this.element, progress !== null);
    if (progress === null) return;
    this.#showPart(job);
    const isIdle = job.paused || Boolean(job.waiting);
    setFigure(this.#rate, ...rateTexts(progress, isIdle));
    setFigure(this.#end, ...endTexts(job, isIdle, now));
    showLane(this.#verified, job, "verified", progress.bytes_verified);
    showLane(this.#imported, job, "imported", progress.bytes_imported);
  }

  #showPart({ phase, progress }) {
    const [word, done] =
      phase === "verifying" ? ["verified", progress.bytes_verified] : ["imported", progress.bytes_imported];
    // Empty files alone have no bytes to count.
    const part = progress.bytes_total
      ? percent(done, progress.bytes_total)
      : percent(progress.files_done, progress.files_total);
    setFigure(this.#part, `${part} %`, `${word}, ${count(progress.files_done)} of ${count(progress.files_total)} files`);
  }
}

function rateTexts(progress, isIdle) {
  if (isIdle || progress.bytes_s === null) return ["–", isIdle ? "no rate" : "no rate yet"];
  const files = progress.files_s === null ? "" : `${count(Math.round(progress.files_s))} files/s`;
  return [rate(progress.bytes_s), files];
}

function endTexts(job, isIdle, now) {
  const { remaining_s } = job.progress;
  if (isIdle) return ["–", job.paused ? "no estimate while paused" : "no estimate while it waits"];
  if (remaining_s === null) return ["–", "no estimate yet"];
  const clock = moment(new Date(now.getTime() + remaining_s * 1000), now);
  // The import follows the verification, and nobody knows its speed yet.
  if (job.phase === "verifying") return [`at least ${remaining(remaining_s)}`, `verified about ${clock}`];
  return [`${remaining(remaining_s)} left`, `done about ${clock}`];
}

function figure() {
  const value = el("span.value");
  const note = el("span.note");
  return { element: el("p", {}, value, note), value, note };
}

function setFigure({ value, note }, text, small) {
  setText(value, text);
  setText(note, small);
}

function lane(word, kind) {
  const bar = el(`progress.${kind}`, { max: "1", value: "0" });
  const amount = el("span.amount");
  return { bar, amount, cells: [el("span.lane", { text: word }), bar, amount] };
}

function showLane({ bar, amount }, job, word, bytes) {
  const { bytes_total } = job.progress;
  // Thousandths are finer than any screen; finer steps would only cost paint.
  setAttribute(bar, "value", bytes_total ? Math.min(1, Math.round((bytes / bytes_total) * 1000) / 1000) : 0);
  setAttribute(bar, "aria-label", `${jobName(job)}: ${word}`);
  setText(amount, `${size(bytes)} of ${size(bytes_total)}`);
}
