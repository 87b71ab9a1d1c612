/**
 * The entries of a job that are not in the bucket, with the reason for each.
 *
 * Fetched when somebody looks: on a press of the button, or, for a job that needs attention, when its card
 * comes into view. Then a page at a time.
 */

import { el, icon, setAttribute, setShown, setText } from "./dom.js";
import { count, counted, jobName, prose, shown, size } from "./format.js";
import { jobLook } from "./phases.js";

const PAGE = 20;

export class Failures {
  #word = el("span");
  #toggle = el("button.quiet.toggle", { type: "button", "aria-expanded": "false", on: { click: () => this.#turn() } },
    icon("chevron"), this.#word);
  #rows = el("ol.rows");
  #problem = el("p.problem", { role: "alert" });
  #more = el("button.more", { type: "button", on: { click: () => this.#fetch() } });
  #body = el("div", { hidden: true }, this.#rows, this.#problem, this.#more);
  #api;
  #job = null;
  #next = null;
  #known = 0;
  #isBusy = false;
  #isSeen = false;
  #wasShown = false;

  constructor(api, seen) {
    this.#api = api;
    this.element = el("section.failures", { hidden: true }, this.#toggle, this.#body);
    seen(this.element, (isSeen) => {
      this.#isSeen = isSeen;
      this.#show();
    });
  }

  update(job) {
    this.#job = job;
    const { failed } = job.counters;
    setShown(this.element, failed > 0);
    setText(this.#word, counted(failed, "failure"));
    setAttribute(this.#toggle, "aria-label", `${counted(failed, "failure")} of ${jobName(job)}`);
    if (failed < this.#known) this.#forget();
    if (!this.#body.hidden) this.#showMore();
    this.#show();
  }

  // They were tried again: what is shown is not true any more.
  #forget() {
    this.#rows.replaceChildren();
    this.#known = 0;
    this.#next = null;
    this.#wasShown = false;
    setShown(this.#body, false);
    setAttribute(this.#toggle, "aria-expanded", "false");
  }

  /** Open by itself, once, what somebody has to look at. */
  #show() {
    if (this.#isSeen && !this.#wasShown && jobLook(this.#job).group === "attention") this.#turn();
  }

  #turn() {
    this.#wasShown = true;
    setShown(this.#body, this.#body.hidden);
    setAttribute(this.#toggle, "aria-expanded", String(!this.#body.hidden));
    if (!this.#body.hidden && !this.#known) this.#fetch();
  }

  async #fetch() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    // Without a cursor it begins anew: there may be more than there were.
    const after = this.#next;
    try {
      const page = await this.#api.failures(this.#job.job_id, after, PAGE);
      this.#take(page, after === null);
      setText(this.#problem, "");
    } catch (error) {
      setText(this.#problem, `The failures could not be fetched. ${prose(error.message)}`);
    }
    this.#isBusy = false;
    this.#showMore();
  }

  #take(page, isFirst) {
    const rows = page.items.map(row);
    if (isFirst) this.#rows.replaceChildren(...rows);
    else this.#rows.append(...rows);
    this.#known = this.#rows.childElementCount;
    this.#next = page.next;
  }

  #showMore() {
    const left = Math.max(0, this.#job.counters.failed - this.#known);
    setShown(this.#more, this.#next !== null || left > 0);
    setText(this.#more, this.#known ? `More failures (${count(left)} left)` : "Try again");
    setAttribute(this.#more, "aria-label", `More failures of ${jobName(this.#job)}`);
  }
}

function row(entry) {
  const key = shown(entry.key);
  return el(
    "li",
    {},
    el("bdi.name", { text: key, title: key }),
    el("span.amount", { text: size(entry.size_bytes) }),
    el("span.why", { text: prose(entry.error) }),
  );
}
