/** The top of the page: where to, how the connection is, and the dock in five figures. */

import { el, icon, setAttribute, setIcon, setShown, setText } from "./dom.js";
import { clockWithSeconds, count, counted, moment, prose, rate, remaining, shown } from "./format.js";

const MOST_DESTINATIONS = 2;
const byId = (id) => document.getElementById(id);

export function showDestinations(destinations) {
  const named = destinations.slice(0, MOST_DESTINATIONS).map(shown).join(", ");
  const others = destinations.length - MOST_DESTINATIONS;
  setText(byId("destinations"), others > 0 ? `${named} and ${count(others)} more` : named);
}

/** @param totals of Dock.totals; @param isLive whether rates are those of now */
export function showTotals(totals, isLive, now) {
  tell("devices", count(totals.here), totals.expected ? `${count(totals.expected)} on the way` : "none on the way");
  tell("moving", count(totals.moving), totals.resting ? `${count(totals.resting)} queued or at rest` : "none waits");
  tell("attention", count(totals.failing + totals.refused), attentionText(totals));
  byId("total-attention").dataset.some = totals.failing + totals.refused ? "yes" : "no";
  setAttribute(byId("total-attention"), "href", totals.failing ? "#attention" : "#dock");
  tell("rate", ...rateTexts(totals, isLive));
  tell("end", ...endTexts(totals, isLive, now));
  document.title = title(totals);
}

function rateTexts({ moving, bytes_s }, isLive) {
  if (!isLive) return ["–", "not live"];
  return moving ? [rate(bytes_s), "all jobs together"] : ["–", "nothing moves"];
}

function endTexts({ remaining_s, isAtLeast, moving, resting }, isLive, now) {
  if (!isLive) return ["–", "not live"];
  if (!moving) return ["–", resting ? "no estimate yet" : "nothing under way"];
  if (remaining_s === null) return ["–", "no estimate yet"];
  const end = new Date(now.getTime() + remaining_s * 1000);
  const clock = moment(end, now);
  return isAtLeast ? [`after ${clock}`, `at least ${remaining(remaining_s)}`] : [clock, `in ${remaining(remaining_s)}`];
}

function attentionText({ failing, refused }) {
  const told = [failing && counted(failing, "job"), refused && counted(refused, "device")].filter(Boolean);
  return told.join(", ") || "all is well";
}

function tell(name, figure, note) {
  setText(byId(`total-${name}`), figure);
  setText(byId(`note-${name}`), note);
}

function title({ moving, failing, refused }) {
  const attention = failing + refused;
  const told = [attention && `${count(attention)} need attention`, moving && `${count(moving)} moving`].filter(Boolean);
  return [...told, "Ingest dock"].join(" · ");
}

const CONNECTIONS = {
  connecting: { word: "Connecting", icon: "clock", tone: "calm" },
  live: { word: "Live", icon: "dot", tone: "good" },
  stale: { word: "No news", icon: "alert", tone: "warn" },
  lost: { word: "Reconnecting", icon: "alert", tone: "warn" },
};

/** The state of the connection, at the top and, where it is not live, in a line of its own. */
export class ConnectionView {
  #icon = icon("dot");
  #word = el("span");
  #text = el("span");
  #retry = el("button.quiet", { type: "button", text: "Try now" });
  #plate = byId("connection");
  #line = byId("stale");

  constructor(tryNow) {
    this.#plate.replaceChildren(this.#icon, this.#word);
    this.#retry.addEventListener("click", tryNow);
    this.#line.replaceChildren(icon("alert"), this.#text, this.#retry);
  }

  update(connection) {
    const look = CONNECTIONS[connection.state];
    setAttribute(this.#plate, "data-tone", look.tone);
    setIcon(this.#icon, look.icon);
    const since = connection.state === "lost" && connection.lastNews;
    setText(this.#word, since ? `${look.word} since ${clockWithSeconds(since)}` : look.word);
    const isOld = connection.state === "stale" || connection.state === "lost";
    setShown(this.#line, isOld);
    setShown(this.#retry, connection.state === "lost");
    if (isOld) setText(this.#text, oldText(connection));
  }
}

function oldText({ lastNews, silence_s, problem, state }) {
  if (!lastNews) return prose(problem);
  const news = `Not live: last news ${remaining(silence_s)} ago, at ${clockWithSeconds(lastNews)}.`;
  return state === "lost" && problem ? `${news} ${prose(problem)}` : news;
}
