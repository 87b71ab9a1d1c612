/** What may be asked of a job, as buttons; cancel is asked twice. */

import { actionLook } from "./phases.js";
import { arrange, el, icon, setAttribute, setText } from "./dom.js";
import { jobName, prose } from "./format.js";

/** The question before an import is given up. Closing it in any way but one keeps the import. */
export class CancelDialog {
  #dialog = document.getElementById("cancel");
  #title = document.getElementById("cancel-title");
  #answer = () => {};

  constructor() {
    this.#dialog.querySelector(".keep").addEventListener("click", () => this.#dialog.close());
    this.#dialog.querySelector(".confirm").addEventListener("click", () => this.#dialog.close("cancel"));
    this.#dialog.addEventListener("close", () => this.#answer(this.#dialog.returnValue === "cancel"));
  }

  /** Resolves to whether the job shall be cancelled. */
  ask(job) {
    setText(this.#title, `Cancel the import of ${jobName(job)}?`);
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    return new Promise((resolve) => (this.#answer = resolve));
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }
}

export class JobActions {
  element = el("div.actions");
  message = el("p.problem", { role: "alert" });
  #buttons = new Map();
  #job = null;

  /**
   * @param {object} page
   * @param {import("./api.js").Api} page.api
   * @param {boolean} page.mayOperate
   * @param {CancelDialog} page.dialog
   * @param {(job: object) => void} page.take a job that the service told
   */
  constructor(page) {
    this.page = page;
  }

  update(job) {
    this.#job = job;
    const offered = this.page.mayOperate ? job.actions : [];
    arrange(this.element, offered.map((action) => this.#button(action)));
    for (const action of offered) {
      const label = `${actionLook(action).word.replace("…", "")} ${jobName(job)}`;
      setAttribute(this.#button(action), "aria-label", label);
    }
  }

  #button(action) {
    if (!this.#buttons.has(action)) {
      const look = actionLook(action);
      const on = { click: () => this.#ask(action) };
      const button = el("button.action", { type: "button", "data-action": action, on }, icon(look.icon));
      button.append(el("span", { text: look.word }));
      this.#buttons.set(action, button);
    }
    return this.#buttons.get(action);
  }

  async #ask(action) {
    if (action === "cancel" && !(await this.page.dialog.ask(this.#job))) return;
    const button = this.#button(action);
    // Not `disabled`: that would take the focus away.
    if (button.getAttribute("aria-disabled") === "true") return;
    setAttribute(button, "aria-disabled", "true");
    setText(this.message, "");
    try {
      this.page.take(await this.page.api.act(this.#job.job_id, action));
    } catch (error) {
      setText(this.message, `Not ${actionLook(action).done}: ${prose(error.message)}`);
    }
    setAttribute(button, "aria-disabled", null);
  }
}
