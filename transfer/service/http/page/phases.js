/**
 * What the states of jobs, devices and shipments are called here, and how they look. Tables, no code but the choice.
 *
 * A state never has a colour alone: `word` and `icon` go with its `tone`.
 */

/** Which group a job stands in, by its phase. */
export const GROUPS = ["moving", "attention", "finished"];

const PHASES = {
  received: { word: "Queued", icon: "clock", tone: "calm", group: "moving" },
  verifying: { word: "Verifying", icon: "search", tone: "busy", group: "moving" },
  importing: { word: "Importing", icon: "upload", tone: "busy", group: "moving" },
  complete: { word: "Complete", icon: "check", tone: "good", group: "finished" },
  failed: { word: "Failed", icon: "alert", tone: "bad", group: "attention" },
  quarantined: { word: "Quarantined", icon: "alert", tone: "bad", group: "attention" },
  cancelled: { word: "Cancelled", icon: "cross", tone: "calm", group: "finished" },
};

const DEVICES = {
  refused: { word: "Refused", icon: "alert", tone: "bad", rank: 0 },
  arriving: { word: "Arriving", icon: "download", tone: "busy", rank: 1 },
  expected: { word: "On its way", icon: "transit", tone: "calm", rank: 2 },
  accepted: { word: "Accepted", icon: "check", tone: "good", rank: 3 },
  gone: { word: "Gone", icon: "gone", tone: "calm", rank: 4 },
};

/** The way of a shipment, in its order. */
export const STEPS = [
  ["prepared", "Prepared"],
  ["with-customer", "With customer"],
  ["in-transit", "In transit"],
  ["delivered", "Delivered"],
  ["docked", "Docked"],
];

const ACTIONS = {
  pause: { word: "Pause", icon: "pause", done: "paused" },
  resume: { word: "Resume", icon: "play", done: "resumed" },
  retry: { word: "Retry", icon: "retry", done: "taken up again" },
  cancel: { word: "Cancel…", icon: "cross", done: "cancelled" },
};

// A newer service may have states this page has never heard of: they are shown by their own names.
const unknown = (word) => ({ word, icon: "dot", tone: "calm", group: "moving", rank: 5, done: "done" });
const of = (table, name) => (Object.hasOwn(table, name) ? table[name] : unknown(name));

/** The look of a job: its phase, unless it rests or waits. */
export function jobLook(job) {
  const phase = of(PHASES, job.phase);
  if (phase.group !== "moving") return phase;
  if (job.paused) return { ...phase, word: "Paused", icon: "pause", tone: "calm" };
  if (job.waiting && job.phase !== "received") return { ...phase, word: "Waiting", icon: "clock", tone: "warn" };
  return phase;
}

/** The look of a device. */
export function deviceLook(device) {
  return of(DEVICES, device.state);
}

/** The look of a button. */
export function actionLook(action) {
  return of(ACTIONS, action);
}

/** Whether a job is read or sent right now. */
export function isMoving(job) {
  return job.progress !== null && !job.paused && !job.waiting && jobLook(job).group === "moving";
}
