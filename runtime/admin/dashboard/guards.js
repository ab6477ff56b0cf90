// What stands before upstreams: breakers, bulkheads, limiters, shedders, throttles.

import { h, say, mark, keep, badge, gauge, spark, table, row, remember, format } from "./dom.js";
import { buttons } from "./actions.js";

const TONES = { closed: "ok", half_open: "warn", open: "bad", forced_open: "bad", disabled: "warn" };

function headline(b) {
  let text = b.state.replace("_", " ");
  if (b.mode !== "normal" && !b.state.startsWith("forced")) text += ` (${b.mode.replace("_", " ")})`;
  return text;
}

function duration(b) {
  if (b.state === "open" && b.retry_after_s > 0) return `since ${format.age(b.since_s)}, probes in ${format.time(b.retry_after_s)}`;
  if (b.state === "half_open") return `since ${format.age(b.since_s)}, ${b.probes} probes under way`;
  return `since ${format.age(b.since_s)}${b.share < 1 && b.state === "closed" ? `, admits ${format.percent(b.share)}` : ""}`;
}

// Per second between two documents.
const before = new Map();
function rate(name, total, at) {
  const last = before.get(name);
  before.set(name, { total, at });
  return last && at > last.at ? Math.max(0, (total - last.total) / (at - last.at)) : 0;
}

function createTile(b) {
  const state = badge();
  const since = h("p.quiet");
  const failures = gauge("failures");
  const slow = gauge("slow calls");
  const told = { failures: h("span"), slow: h("span") };
  const slowRow = [h("dt", {}, "slow"), h("dd", {}, slow.root, " ", told.slow)];
  const numbers = h("p.numbers");
  const refused = h("p.numbers");
  const line = spark();
  const actions = buttons("breakers", "breaker", b.name);
  const last = h("p.numbers.last");
  const root = h("article.tile", { "aria-label": `breaker ${b.name}` },
    h("h3", {}, h("span", { title: b.name }, b.name), state.root), since,
    h("dl", {}, h("dt", {}, "failures"), h("dd", {}, failures.root, " ", told.failures), ...slowRow),
    line.root, numbers, refused, last, actions.root);
  return { root, state, since, failures, slow, slowRow, told, numbers, refused, line, actions, last };
}

function updateTile(p, b, at, reason) {
  const isForced = b.mode !== "normal";
  mark(p.root, "data-tone", isForced && b.state === "closed" ? "warn" : TONES[b.state] || "warn");
  p.state.show(TONES[b.state] || "warn", headline(b));
  say(p.since, duration(b));
  const text = (value, limit) => `${format.percent(value)}${limit > 0 ? ` of ${format.percent(limit)}` : ""}`;
  say(p.told.failures, text(b.failure_rate, b.failure_rate_limit));
  p.failures.show(b.failure_rate, b.failure_rate_limit, text(b.failure_rate, b.failure_rate_limit));
  for (const part of p.slowRow) part.hidden = !(b.slow_rate_limit > 0);
  say(p.told.slow, text(b.slow_rate, b.slow_rate_limit));
  p.slow.show(b.slow_rate, b.slow_rate_limit, text(b.slow_rate, b.slow_rate_limit));
  const refused = rate(`breaker ${b.name}`, b.refused, at);
  p.line.show(remember(`breaker ${b.name}`, b.failure_rate), [], 1);
  say(p.numbers, `${b.calls} calls judged, ${b.min_calls} needed · ${b.in_flight} in flight`);
  say(p.refused, `${format.count(refused)}/s refused, ${format.count(b.refused)} in all`);
  say(p.last, reason || "no change seen yet");
  p.actions.show((verb) => (verb === "auto" ? isForced : verb === "open" ? b.mode !== "forced_open" : verb === "close" ? b.mode !== "forced_closed" : true));
}

export const breakers = {
  id: "breakers", isCounted: true, title: "Breakers",
  reasons: new Map(),
  /** The last transition of each breaker, from the log; lines of several processes come in no order. */
  hear(line) {
    if (line.event !== "breaker.transition") return;
    const known = this.reasons.get(line.name);
    const isOlder = known && (line.timestamp < known.timestamp || (line.timestamp === known.timestamp && line.seq < known.seq));
    if (isOlder) return;
    const text = `last: ${line.from.replace("_", " ")} → ${line.to.replace("_", " ")}, ${line.cause.replace(/_/g, " ")}, ${line.calls} calls, ${format.percent(line.failure_rate)} failed`;
    this.reasons.set(line.name, { timestamp: line.timestamp, seq: line.seq, text });
  },
  build(place) {
    this.tiles = h("div.tiles");
    place.append(this.tiles);
  },
  show(s) {
    const weight = (b) => (b.state === "closed" && b.mode === "normal" ? 1 : 0);
    const sorted = [...s.breakers].sort((a, b) => weight(a) - weight(b) || (a.name < b.name ? -1 : 1));
    keep(this.tiles, sorted, (b) => b.name, createTile, (p, b) => updateTile(p, b, s.uptime_s, this.reasons.get(b.name)?.text));
    return s.breakers.length;
  },
};

/** Whom a limiter refuses most. */
function refusedMost(l) {
  return l.refused_keys.slice(0, 2).map((k) => `${k.key.slice(0, 8)}… ${format.count(k.refused)}`).join(", ") || "–";
}

function useRow(label, name, plural, noun, more) {
  const used = gauge(label);
  const told = h("span");
  const actions = buttons(plural, noun, name);
  const line = spark();
  return { ...row(name, [h("span", {}, used.root, " ", told), line.root, "num", "num", ...more, actions.root]), used, told, actions, line };
}

export const limits = {
  id: "limits", isCounted: true, title: "Bulkheads and limiters", place: "right",
  build(place) {
    const columns = [["in use"], ["last 90 s"], ["waiting", true], ["refused", true]];
    this.bulkheads = table("Bulkheads", [["bulkhead"], ...columns, ["", true]]);
    this.limiters = table("Limiters", [["limiter"], ...columns, ["refused most"], ["", true]]);
    place.append(this.bulkheads.root, this.limiters.root);
  },
  show(s) {
    const waits = new Map(s.traffic.waits.map((w) => [`${w.kind} ${w.name}`, w.p99_s]));
    const wait = (kind, name) => {
      const p99 = waits.get(`${kind} ${name}`);
      return p99 === undefined || p99 === null ? "" : `, p99 ${format.time(p99)}`;
    };
    const refused = (name, total) => `${format.count(rate(name, total, s.uptime_s))}/s, ${format.count(total)} in all`;
    keep(this.bulkheads.body, s.bulkheads, (b) => b.name, (b) => useRow(`slots of ${b.name}`, b.name, "bulkheads", "bulkhead", []), (p, b) => {
      const text = `${b.in_use} of ${b.max}${b.overridden ? `, policy says ${b.policy_max}` : ""}`;
      p.used.show(b.in_use / b.max, 1, text);
      say(p.told, text);
      p.line.show(remember(`bulkhead ${b.name}`, b.in_use), [], b.max);
      say(p.cells[2], `${b.queued} of ${b.queue}${wait("bulkhead", b.name)}`);
      say(p.cells[3], refused(`bulkhead ${b.name}`, b.refused));
      p.actions.show((verb) => verb !== "reset" || b.overridden);
    });
    keep(this.limiters.body, s.limiters, (l) => l.name, (l) => useRow(`permits of ${l.name}`, l.name, "limiters", "limiter", ["text"]), (p, l) => {
      const text = `${l.limit - l.left} of ${l.limit} in ${format.time(l.per_s)}${l.overridden ? `, policy says ${l.policy_limit}` : ""}`;
      p.used.show((l.limit - l.left) / l.limit, 1, text);
      say(p.told, text);
      p.line.show(remember(`limiter ${l.name}`, l.limit - l.left), [], l.limit);
      for (const at of [0, 3, 4]) p.cells[at].classList.add("wrap");
      p.cells[4].title = "by hash of the key, as refusals name it";
      say(p.cells[2], `${l.waiting}${wait("limiter", l.name)}`);
      say(p.cells[3], refused(`limiter ${l.name}`, l.refused));
      say(p.cells[4], refusedMost(l));
      p.actions.show((verb) => verb !== "reset" || l.overridden);
    });
    this.bulkheads.root.hidden = s.bulkheads.length === 0;
    this.limiters.root.hidden = s.limiters.length === 0;
    return s.bulkheads.length + s.limiters.length;
  },
};

export const adaptive = {
  id: "adaptive", title: "Workers and adaptive limits", place: "right",
  build(place) {
    this.shedders = table("Shedders", [["shedder"], ["in use"], ["limit over time"], ["latency", true], ["baseline", true], ["waiting", true], ["shed", true]]);
    this.throttles = table("Throttles", [["throttle"], ["refuses", true], ["last 90 s"], ["admitted", true], ["refused", true]]);
    this.workers = table("Workers", [["worker"], ["state"], ["in flight", true], ["loop lag", true], ["sheds", true], ["restarts", true], ["generation", true]]);
    place.append(this.shedders.root, this.throttles.root, this.workers.root);
  },
  show(s) {
    keep(this.shedders.body, s.shedders, (x) => x.name, (x) => {
      const used = gauge(`calls of ${x.name}`);
      const told = h("span");
      const line = spark();
      return { ...row(x.name, [h("span", {}, used.root, " ", told), line.root, "num", "num", "num", "num"]), used, told, line };
    }, (p, x) => {
      const text = `${x.in_use} of ${x.limit} (${x.rule})`;
      p.used.show(x.in_use / x.limit, 1, text);
      say(p.told, text);
      p.line.show(remember(`shedder ${x.name}`, x.limit));
      say(p.cells[2], format.time(x.latency_s));
      say(p.cells[3], format.time(x.baseline_s));
      say(p.cells[4], x.queued);
      say(p.cells[5], format.count(Object.values(x.shed).reduce((a, b) => a + b, 0)));
    });
    keep(this.throttles.body, s.throttles, (x) => x.name, (x) => {
      const line = spark();
      return { ...row(x.name, ["num", line.root, "num", "num"]), line };
    }, (p, x) => {
      say(p.cells[0], format.percent(x.refuses));
      p.line.show(remember(`throttle ${x.name}`, x.refuses), [], 1);
      say(p.cells[2], format.count(x.admitted));
      say(p.cells[3], format.count(x.refused));
    });
    keep(this.workers.body, s.workers, (w) => w.slot, (w) => {
      const state = badge();
      return { ...row(`worker ${w.slot}`, [state.root, "num", "num", "num", "num", "num"]), state };
    }, (p, w) => {
      const isBusy = w.script > 0;
      p.state.show(w.pid === 0 ? "bad" : w.generation === 0 ? "warn" : "ok", w.pid === 0 ? "being replaced" : w.generation === 0 ? "starting" : isBusy ? `in ${w.route || "a script"}` : "well");
      say(p.cells[1], w.active);
      say(p.cells[2], format.time(w.lag_s));
      say(p.cells[3], format.count(w.sheds));
      say(p.cells[4], w.restarts);
      say(p.cells[5], w.generation);
    });
    this.shedders.root.hidden = s.shedders.length === 0;
    this.throttles.root.hidden = s.throttles.length === 0;
    return s.workers.length + s.shedders.length + s.throttles.length;
  },
};
