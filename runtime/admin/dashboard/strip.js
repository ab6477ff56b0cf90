// The strip on top: one word for the whole, the numbers everybody asks for, and what is wrong.

import { h, say, mark, keep, badge, spark, remember, format } from "./dom.js";

const VITALS = [
  ["rate", "requests/s", (s) => format.count(s.traffic.requests.per_s), (s) => s.traffic.requests.per_s],
  ["errors", "errors", (s) => format.percent(s.traffic.requests.error_ratio), (s) => s.traffic.requests.error_ratio, 0.05],
  ["p50", "p50", (s) => format.time(s.traffic.requests.p50_s)],
  ["p99", "p99", (s) => format.time(s.traffic.requests.p99_s), (s) => s.traffic.requests.p99_s],
  ["active", "in flight", (s) => format.count(s.now.active)],
  ["lag", "loop lag", (s) => format.time(s.now.lag_s)],
  ["memory", "memory", (s) => format.bytes(s.memory.bytes)],
  ["generation", "generation", (s) => `${s.generation.number} · ${format.age(s.generation.age_s)}`],
  ["workers", "workers", (s) => `${s.workers.filter((w) => w.generation > 0 && w.pid > 0).length} of ${s.workers.length}`],
];

const PLACES = { breaker: "breakers", bulkhead: "limits", limiter: "limits", flag: "policies", upstream: "upstreams" };

const parts = {};
const reloads = []; // at which documents another generation was live

/** Everything that is not as it should be: { tone, text, panel }. */
export function reasons(s) {
  const found = [];
  const add = (tone, panel, text) => found.push({ tone, panel, text });
  for (const c of s.chaos) if (c.armed) add("warn", "policies", `chaos ${c.name} is applied, ${format.age(c.left_s)} left`);
  if (s.now.sheds > 0) add("bad", "adaptive", `shedding by priority, ${format.count(s.now.sheds)} classes`);
  for (const b of s.breakers) {
    if (b.state !== "closed") add(b.state === "half_open" ? "warn" : "bad", "breakers", `breaker ${b.name} ${b.state.replace("_", " ")} for ${format.age(b.since_s)}`);
    else if (b.mode !== "normal") add("warn", "breakers", `breaker ${b.name} is ${b.mode.replace("_", " ")}`);
  }
  for (const o of s.overrides) add("warn", PLACES[o.kind], `${o.kind} ${o.name}${o.endpoint ? ` ${o.endpoint}` : ""} by hand: ${o.order.replace(/_/g, " ")}, by ${o.by} for ${format.age(o.since_s)}`);
  for (const u of s.upstreams) {
    const out = u.count - u.usable;
    if (u.panic) add("bad", "upstreams", `upstream ${u.name} panics: ${out} of ${u.count} endpoints are out`);
    else if (out > 0) add("warn", "upstreams", `upstream ${u.name}: ${out} of ${u.count} endpoints are out`);
  }
  for (const c of s.checks) if (c.state === "down") add(c.critical ? "bad" : "warn", "policies", `check ${c.name} down for ${format.age(c.since_s)}`);
  for (const w of s.workers) if (w.pid === 0) add("bad", "top", `worker ${w.slot} is being replaced`);
  const requests = s.traffic.requests;
  if (requests.error_ratio >= 0.01) add(requests.error_ratio >= 0.05 ? "bad" : "warn", "routes", `${format.percent(requests.error_ratio)} of requests fail`);
  if (s.last_reload.result === "failed") add("warn", "policies", "the last reload failed: the files on disk are not live");
  if (s.generation.quarantined) add("bad", "policies", "the live generation is quarantined and has no predecessor");
  return found;
}

function word(s, wrong) {
  if (s.draining) return ["warn", "DRAINING"];
  if (!s.ready) return ["bad", "NOT READY"];
  if (s.now.sheds > 0) return ["bad", "SHEDDING"];
  return wrong.length > 0 ? ["warn", "DEGRADED"] : ["ok", "OK"];
}

function build() {
  const list = document.getElementById("vitals");
  for (const [name, title, , series] of VITALS) {
    const value = h("span");
    const line = series && spark();
    list.append(h("div", {}, h("dt", {}, title), h("dd", { id: `vital-${name}` }, value, line && line.root)));
    parts[name] = { value, line };
  }
}

let live = null;

export function show(s) {
  if (!parts.rate) build();
  const number = s.generation.number;
  for (let i = 0; i < reloads.length; i++) reloads[i]++;
  if (live !== null && live !== number) reloads.push(0);
  if (reloads[0] >= 89) reloads.shift();
  live = number;
  for (const [name, , text, series, top] of VITALS) {
    say(parts[name].value, text(s));
    if (series) parts[name].line.show(remember(`vital ${name}`, series(s)), reloads, top);
  }
  const wrong = reasons(s);
  const [tone, text] = word(s, wrong);
  const state = document.getElementById("state");
  mark(state, "data-tone", tone);
  say(state.querySelector(".mark"), { ok: "●", warn: "▲", bad: "■" }[tone]);
  say(state.querySelector("b"), text);
  document.title = text === "OK" ? "weir" : `${text} · weir`;
  keep(document.getElementById("reasons"), wrong, (r) => r.text.replace(/\d+/g, ""), (r) => {
    const shown = badge();
    const link = h("a", { href: `#${r.panel}` }, shown.root);
    return { root: h("li", {}, link), shown };
  }, (p, r) => p.shown.show(r.tone, r.text));
  say(document.getElementById("identity"), `weir ${s.version}, pid ${s.pid}, up ${format.age(s.uptime_s)}, ${s.generation.file}, listening on ${s.listeners.join(", ") || "nothing"}`);
}
