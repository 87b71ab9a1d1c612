/**
 * The files of a job's report, as downloads.
 *
 * They need the token, which a link cannot carry: they are fetched and handed to the browser as a file. They
 * are not opened here: a page made from a blob would have this page's origin, and its policy, which takes the
 * report's own style away.
 */

import { arrange, el, icon, setAttribute, setText } from "./dom.js";
import { jobName, prose } from "./format.js";

// Long enough for the slowest browser to have taken it.
const FORGET_AFTER_MS = 60_000;

const FILES = [
  ["report.html", "Report", () => true],
  ["report.json", "JSON", () => true],
  ["success.csv", "Imported (CSV)", (job) => job.counters.objects > 0],
  ["failure.csv", "Failed (CSV)", (job) => job.counters.failed > 0],
  ["skipped.csv", "Skipped (CSV)", (job) => job.counters.skipped > 0],
  ["repair.txt", "Repair list", (job) => job.phase === "quarantined"],
];

export class ReportFiles {
  message = el("p.problem", { role: "alert" });
  #buttons = FILES.map(([name, word]) => this.#button(name, word));
  #job = null;

  constructor(api) {
    this.api = api;
    this.element = el("div.files", {}, ...this.#buttons);
  }

  update(job) {
    this.#job = job;
    const isBegun = job.phase !== "received";
    const offered = this.#buttons.filter((_, index) => isBegun && FILES[index][2](job));
    arrange(this.element, offered);
    for (const button of offered) {
      const label = `Download ${button.dataset.file} of ${jobName(job)}`;
      setAttribute(button, "aria-label", label);
    }
  }

  #button(name, word) {
    const on = { click: () => this.#download(name) };
    return el("button.file", { type: "button", "data-file": name, on }, icon("download"), el("span", { text: word }));
  }

  async #download(name) {
    const job = this.#job;
    setText(this.message, "");
    try {
      save(await this.api.reportFile(job.job_id, name), `${job.device_job}-${job.ordinal}-${name}`);
    } catch (error) {
      const why = error.status === 404 ? "It is not written yet." : prose(error.message);
      setText(this.message, `${name} could not be fetched. ${why}`);
    }
  }
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), FORGET_AFTER_MS);
}
