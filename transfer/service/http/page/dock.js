/**
 * All that is known of the dock: devices and jobs as they were told last, in the order they are shown.
 *
 * Takes news by the thousand: an event costs a place in a map, orders are made when somebody looks.
 */

import { GROUPS, deviceLook, isMoving, jobLook } from "./phases.js";

export class Dock {
  /** The cursor of the next page of older jobs; null behind the last, undefined before the first. */
  older = undefined;
  /** Whether devices and jobs have been told at all. */
  isLoaded = false;

  #devices = new Map();
  #jobs = new Map();
  #ofJobs = null;
  #ofDevices = null;

  /** Take all devices there are: others have left. */
  takeDevices(devices) {
    this.#devices = new Map(devices.map((device) => [device.folder, device]));
    this.#ofDevices = null;
  }

  /** Take a device; gives what it was before. */
  takeDevice(device) {
    const before = this.#devices.get(device.folder);
    this.#devices.set(device.folder, device);
    this.#ofDevices = null;
    return before;
  }

  /** Take a job; gives what it was before. */
  takeJob(job) {
    const before = this.#jobs.get(job.job_id);
    this.#jobs.set(job.job_id, job);
    this.#ofJobs = null;
    return before;
  }

  job(jobId) {
    return this.#jobs.get(jobId);
  }

  /** Devices: those that want a look first, then by name. */
  get devices() {
    this.#ofDevices ??= [...this.#devices.values()].sort(
      (a, b) => deviceLook(a).rank - deviceLook(b).rank || byText(a.folder, b.folder),
    );
    return this.#ofDevices;
  }

  /** Jobs by group: those that move by their age, the others by what changed last. */
  get jobs() {
    this.#ofJobs ??= ordered(this.#jobs.values());
    return this.#ofJobs;
  }

  /** What the top of the page tells. */
  get totals() {
    const here = this.devices.filter((device) => device.state !== "expected" && device.state !== "gone");
    const refused = here.filter((device) => device.state === "refused").length;
    const moving = this.jobs.moving.filter(isMoving);
    return {
      here: here.length,
      refused,
      expected: this.devices.filter((device) => device.state === "expected").length,
      moving: moving.length,
      resting: this.jobs.moving.length - moving.length,
      failing: this.jobs.attention.length,
      bytes_s: moving.reduce((sum, job) => sum + (job.progress.bytes_s ?? 0), 0),
      ...end(this.jobs.moving),
    };
  }

  /** The places that jobs go to, each once, those of the newest jobs first. */
  get destinations() {
    const newest = [...this.#jobs.values()].sort((a, b) => byText(b.created, a.created));
    return [...new Set(newest.map((job) => job.destination))];
  }
}

/**
 * When all that is under way is done.
 *
 * @returns {{remaining_s: number | null, isAtLeast: boolean}} at least: some of it nobody can say yet
 */
function end(jobs) {
  const known = jobs.filter((job) => isMoving(job) && job.progress.remaining_s !== null);
  if (!known.length) return { remaining_s: null, isAtLeast: false };
  const isAtLeast = known.length < jobs.length || known.some((job) => job.phase === "verifying");
  return { remaining_s: Math.max(...known.map((job) => job.progress.remaining_s)), isAtLeast };
}

function ordered(jobs) {
  const groups = Object.fromEntries(GROUPS.map((group) => [group, []]));
  for (const job of jobs) groups[jobLook(job).group].push(job);
  groups.moving.sort((a, b) => rank(a) - rank(b) || byText(a.created, b.created));
  for (const group of [groups.attention, groups.finished]) group.sort((a, b) => byText(b.changed, a.changed));
  return groups;
}

function rank(job) {
  if (job.phase === "received") return 2;
  return job.paused || job.waiting ? 1 : 0;
}

function byText(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
