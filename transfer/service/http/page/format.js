/**
 * Amounts, times and names as people read them. Pure, but for the clock's zone of the browser.
 *
 * Sizes and names have the forms of the command line (transfer/core/sizes.py, transfer/core/paths.py).
 */

const COUNT = new Intl.NumberFormat("en");
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECONDS = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

// What str.isprintable() of Python calls unprintable: controls, marks of direction, odd spaces, lone surrogates.
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

// As the service writes moments: RFC 3339 in UTC.
const MOMENT = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;

/** A count with its thousands: "1,204". */
export function count(number) {
  return COUNT.format(number);
}

/** A count and its noun: "1 file", "2 files". */
export function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A size of three digits, as [value, unit]: ["1.46", "GiB"]. */
export function sizeParts(bytes) {
  let value = bytes;
  let unit = "B";
  for (const prefix of "KMGTP") {
    // 999.5 would be shown as 1000, four digits: go on to the next unit.
    if (value < 999.5) break;
    value /= 1024;
    unit = `${prefix}iB`;
  }
  const decimals = unit === "B" || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return [value.toFixed(decimals), unit];
}

/** "1.46 GiB" */
export function size(bytes) {
  return sizeParts(bytes).join(" ");
}

/** "210 MiB/s" */
export function rate(bytesPerSecond) {
  return `${size(bytesPerSecond)}/s`;
}

/** A time that is left, at most two units, no finer than it can be known: "45 s", "7 min", "2 h 05 min", "3 d 4 h". */
export function remaining(seconds) {
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The part that is done in whole percent; 100 only when all is. */
export function percent(done, total) {
  if (total <= 0) return 0;
  return Math.max(0, Math.min(100, Math.floor((done / total) * 100)));
}

/** A moment by the clock of who looks: "14:02", with its day where that is not today. */
export function moment(date, now) {
  return day(date, now) === day(now, now) ? clock(date) : dayAndClock(date, now);
}

/** "21 Nov", with its year where that is not this one. */
export function day(date, now) {
  if (!isMoment(date)) return "at an unknown time";
  return (date.getFullYear() === now.getFullYear() ? DAY : YEAR).format(date);
}

/** "21 Nov, 14:02" */
export function dayAndClock(date, now) {
  return isMoment(date) ? `${day(date, now)}, ${clock(date)}` : day(date, now);
}

/** "14:02:11" */
export function clockWithSeconds(date) {
  return SECONDS.format(date);
}

/** A name of a file, a folder or a job: what could not be seen, or would turn the text around, becomes an escape. */
export function shown(name) {
  return name.replace(UNPRINTABLE, escape);
}

/** What a job is called in a sentence and on a button: "survey-2026, device 2". */
export function jobName(job) {
  return `${shown(job.device_job)}, device ${job.ordinal}`;
}

/** Which devices of its job were never here, in a line: "Of 4 devices, not here yet: 2, 4". */
export function missingDevices(job) {
  const of = job.devices_total === null ? "Of the devices of its job" : `Of ${count(job.devices_total)} devices`;
  return `${of}, not here yet: ${ranges(job.devices_missing).join(", ")}`;
}

/** Ascending numbers, those in a row as one, the first few of them: ["1", "3 to 5", "..."]. */
function ranges(numbers) {
  const rows = [];
  for (const number of numbers) {
    const row = rows.at(-1);
    if (row && number === row.last + 1) row.last = number;
    else rows.push({ first: number, last: number });
  }
  const told = rows.map(({ first, last }) => (first === last ? `${first}` : `${first} to ${last}`));
  return told.length > 6 ? [...told.slice(0, 6), "..."] : told;
}

/** A sentence of the service as `prose`, with the moments in it by the clock of who looks. */
export function localProse(text, now) {
  return prose(text).replace(MOMENT, (found) => moment(new Date(found), now));
}

/** A sentence of the server: as `shown`, its line ends kept. */
export function prose(text) {
  return text.split("\n").map(shown).join("\n");
}

// A time that no calendar has must not keep the others from being shown.
function isMoment(date) {
  return !Number.isNaN(date.getTime());
}

function clock(date) {
  return CLOCK.format(date);
}

function escape(character) {
  const code = character.codePointAt(0);
  if (code < 0x100) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function hex(code, digits) {
  return code.toString(16).padStart(digits, "0");
}
