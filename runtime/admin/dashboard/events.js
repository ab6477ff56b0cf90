// What happened: the log lines that are no requests, the newest first.

import { h, say, table, badge } from "./dom.js";
import { requests } from "./requests.js";

const TONES = { error: "bad", warn: "warn", info: "none", debug: "none" };
const KNOWN = new Set(["timestamp", "level", "event", "worker", "seq", "message", "from", "to", "cause", "name"]);
const SHOWN = 200;

const plain = (word) => String(word).replace(/_/g, " ");

function summary(line) {
  const rest = Object.entries(line).filter(([key, value]) => !KNOWN.has(key) && value !== null && value !== "");
  const words = rest.map(([key, value]) => `${plain(key)} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  const change = line.to && `${line.from ? `${plain(line.from)} → ` : ""}${plain(line.to)}${line.cause ? ` (${plain(line.cause)})` : ""}`;
  const subject = [line.name, change].filter(Boolean).join(": ");
  return [subject, line.message, words.join(", ")].filter(Boolean).join(" · ");
}

function explainer(line) {
  if (!line.request_id) return null;
  return h("button", { type: "button", "aria-label": `Explain request ${line.request_id}`, onclick: () => requests.open(line.request_id) }, "Explain");
}

function clock(time) {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? String(time) : at.toLocaleTimeString(undefined, { hour12: false });
}

export const events = {
  id: "events", title: "Events", place: "left",
  lines: [],
  build(place) {
    const list = table("Transitions, reloads, orders and errors, the newest first", [["time"], ["level"], ["event"], ["what"]]);
    const box = h("div.events", { tabindex: "0", role: "region", "aria-label": "list of events" }, list.root);
    this.gap = h("p.quiet");
    place.append(box, this.gap);
    this.body = list.body;
    this.missed = 0;
  },
  /** A line; those of several processes come in no order. */
  hear(line) {
    const level = badge();
    level.show(TONES[line.level] || "none", line.level);
    const root = h("tr", {}, h("td.mono", {}, clock(line.timestamp)), h("td", {}, level.root), h("td.mono", {}, line.event), h("td.wrap", {}, summary(line), explainer(line)));
    let at = 0;
    while (at < this.lines.length && this.lines[at].time > line.timestamp) at++;
    this.body.insertBefore(root, at < this.lines.length ? this.lines[at].root : null);
    this.lines.splice(at, 0, { time: line.timestamp, root });
    if (this.lines.length > SHOWN) this.lines.pop().root.remove();
  },
  miss(count) {
    this.missed += count;
    say(this.gap, `${this.missed} lines came faster than this page took them: see the log.`);
  },
  show() {
    return this.lines.length;
  },
};
