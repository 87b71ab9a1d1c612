/**
 * The dock on the screen, for as long as a token is good: news goes into `Dock`, and from there, a few times a
 * second at most, to what is shown.
 */

import { Announcer } from "./announcer.js";
import { CardList, forgetOthers, keepingFocus } from "./card_list.js";
import { Connection } from "./connection.js";
import { DeviceCard } from "./device_card.js";
import { Dock } from "./dock.js";
import { setShown, setText } from "./dom.js";
import { prose } from "./format.js";
import { JobCard } from "./job_card.js";
import { GROUPS } from "./phases.js";
import { ConnectionView, showDestinations, showTotals } from "./totals.js";

const PAGE = 50;
const DRAW_EVERY_MS = 150;
const AT_ONCE = { moving: 30, attention: 20, finished: 15, dock: 40 };
const byId = (id) => document.getElementById(id);

export class DockView {
  #dock = new Dock();
  #announcer = new Announcer();
  #deviceCards = new Map();
  #jobCards = new Map();
  #drawing = null;
  #ended = new AbortController();

  /**
   * @param {import("./api.js").Api} api
   * @param {{name: string, role: string}} who
   * @param {object} options
   * @param {import("./job_actions.js").CancelDialog} options.dialog
   * @param {(error: Error) => void} options.refused the token is not good any more
   */
  constructor(api, who, { dialog, refused }) {
    this.api = api;
    this.dialog = dialog;
    this.mayOperate = who.role === "operate";
    this.watcher = new IntersectionObserver((entries) => this.#see(entries));
    this.whenSeen = new WeakMap();
    this.connection = new Connection(api, {
      load: () => this.#load(),
      event: (name, told) => this.#take(name, told),
      change: (connection) => this.#showConnection(connection),
    });
    api.refused = refused;
    this.connectionView = new ConnectionView(() => this.connection.tryNow());
    this.lists = this.#lists();
    this.#listen();
  }

  start() {
    for (const id of ["dock-view", "connection"]) setShown(byId(id), true);
    this.connectionView.update(this.connection);
    this.#draw();
    this.connection.start();
  }

  /** Take everything off the screen. */
  stop() {
    this.api.refused = () => {};
    this.connection.stop();
    this.#ended.abort();
    this.#announcer.stop();
    this.watcher.disconnect();
    clearTimeout(this.#drawing);
    this.dialog.close();
    for (const id of ["dock-view", "connection"]) setShown(byId(id), false);
    for (const list of Object.values(this.lists)) list.show([]);
    showDestinations([]);
  }

  #lists() {
    const page = {
      api: this.api,
      dialog: this.dialog,
      mayOperate: this.mayOperate,
      take: (job) => this.#take("job", job),
      seen: (element, then) => this.#whenSeen(element, then),
    };
    const changed = () => this.#draw();
    const ended = this.#ended.signal;
    const list = (id, cards, make) => new CardList(byId(id), { cards, make, changed, atOnce: AT_ONCE[id], ended });
    const makeDevice = () => new DeviceCard((jobId) => this.#reveal(jobId));
    const lists = GROUPS.map((group) => [group, list(group, this.#jobCards, () => new JobCard(page))]);
    return Object.fromEntries([...lists, ["dock", list("dock", this.#deviceCards, makeDevice)]]);
  }

  #listen() {
    const { signal } = this.#ended;
    byId("older").addEventListener("click", () => this.#loadOlder(), { signal });
    window.addEventListener("online", () => this.connection.tryNow(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.connection.tryNow(), { signal });
  }

  async #load() {
    const [devices, jobs] = await Promise.all([this.api.devices(), this.api.jobs(null, PAGE)]);
    this.#dock.takeDevices(devices.items);
    for (const job of jobs.items) this.#dock.takeJob(job);
    // Who has paged on keeps the place.
    if (this.#dock.older === undefined) this.#dock.older = jobs.next;
    this.#dock.isLoaded = true;
    this.#drawSoon();
  }

  async #loadOlder() {
    try {
      const page = await this.api.jobs(this.#dock.older, PAGE);
      for (const job of page.items) this.#dock.takeJob(job);
      this.#dock.older = page.next;
      this.lists.finished.limit += PAGE;
      setText(byId("older-problem"), "");
    } catch (error) {
      setText(byId("older-problem"), `Older jobs could not be fetched. ${prose(error.message)}`);
    }
    this.#draw();
  }

  #take(name, told) {
    if (name === "job") this.#announcer.job(this.#dock.takeJob(told), told);
    if (name === "device" && this.#dock.takeDevice(told)?.state !== told.state) this.#announcer.device(told);
    this.#drawSoon();
  }

  #showConnection(connection) {
    this.connectionView.update(connection);
    byId("dock-view").dataset.live = connection.state === "live" ? "yes" : "no";
    this.#drawSoon();
  }

  // A timer, not a frame of animation: a tab in the background keeps its title true.
  #drawSoon() {
    this.#drawing ??= setTimeout(() => this.#draw(), DRAW_EVERY_MS);
  }

  #draw() {
    clearTimeout(this.#drawing);
    this.#drawing = null;
    keepingFocus(() => this.#drawLists(new Date()));
    const { isLoaded, jobs, older } = this.#dock;
    const hasJobs = GROUPS.some((group) => jobs[group].length > 0);
    setShown(byId("no-jobs"), isLoaded && !hasJobs);
    setShown(byId("no-devices"), isLoaded && !this.#dock.devices.length);
    setShown(byId("older"), Boolean(older) && this.lists.finished.more.hidden);
  }

  #drawLists(now) {
    const dock = this.#dock;
    const shownJobs = GROUPS.flatMap((group) => {
      setShown(byId(group), dock.jobs[group].length > 0);
      return this.lists[group].show(dock.jobs[group].map((job) => [job.job_id, job, now]));
    });
    forgetOthers(this.#jobCards, shownJobs);
    const devices = dock.devices.map((device) => [device.folder, device, dock.job(device.job_id), now]);
    forgetOthers(this.#deviceCards, this.lists.dock.show(devices));
    showDestinations(dock.destinations);
    showTotals(dock.totals, this.connection.state === "live", now);
  }

  #reveal(jobId) {
    for (const group of GROUPS) this.lists[group].pinned = jobId;
    this.#draw();
    const card = this.#jobCards.get(jobId)?.element;
    card?.scrollIntoView({ block: "center" });
    card?.querySelector("h4").focus({ preventScroll: true });
  }

  #whenSeen(element, then) {
    this.whenSeen.set(element, then);
    this.watcher.observe(element);
  }

  #see(entries) {
    for (const { isIntersecting, target } of entries) this.whenSeen.get(target)(isIntersecting);
  }
}
