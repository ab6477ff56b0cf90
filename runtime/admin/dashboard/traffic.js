// Routes and upstreams: what comes in, what is asked of others, and how both end.

import { say, keep, badge, spark, table, row, remember, format } from "./dom.js";
import { buttons } from "./actions.js";

function tone(ratio) {
  return ratio >= 0.05 ? "bad" : ratio >= 0.01 ? "warn" : "ok";
}

/** The words of an object of counts, the most frequent first, as shares. */
function shares(counts, without) {
  const all = Object.entries(counts);
  const sum = all.reduce((n, [, count]) => n + count, 0);
  return all.filter(([name]) => name !== without).sort((a, b) => b[1] - a[1]).slice(0, 3)
    .map(([name, count]) => `${name.replace(/_/g, " ")} ${format.percent(count / sum)}`).join(", ");
}

const NUMBERS = [["requests/s", true], ["last 90 s"], ["success", true], ["p50", true], ["p95", true], ["p99", true], ["total", true]];

/** Rows with a rate, its line, success and percentiles; `more` are further columns of the item. */
function numbers(body, kind, items, more) {
  keep(body, items, (item) => item.name, (item) => {
    const line = spark();
    const success = badge();
    const made = row(item.name || "(no route)", ["num", line.root, success.root, "num", "num", "num", "num", ...more.map(() => "text")]);
    made.cells[2].className = "num";
    for (let i = 0; i < more.length; i++) made.cells[7 + i].className = "wrap quiet";
    return { ...made, line, success };
  }, ({ cells, line, success }, item) => {
    const isIdle = item.per_s === 0;
    say(cells[0], format.count(item.per_s));
    line.show(remember(`${kind} ${item.name}`, item.per_s));
    success.show(isIdle ? "none" : tone(item.error_ratio), isIdle ? "idle" : format.percent(1 - item.error_ratio));
    [item.p50_s, item.p95_s, item.p99_s].forEach((p, i) => say(cells[3 + i], format.time(p)));
    say(cells[6], format.count(item.total));
    more.forEach((text, i) => say(cells[7 + i], text(item)));
  });
}

export const routes = {
  id: "routes", isCounted: true, title: "Routes",
  build(place) {
    const list = table("The last ten seconds by route, the busiest first", [["route"], ...NUMBERS, ["other ends than ok"]]);
    place.append(list.root);
    this.body = list.body;
  },
  show(s) {
    numbers(this.body, "route", s.traffic.routes, [(r) => shares(r.why, "ok")]);
    return s.traffic.routes.length;
  },
};

function endpointState(e) {
  if (e.drained) return ["warn", "drained"];
  if (e.ejected) return ["bad", `ejected (${e.cause || "unknown"})${e.back_in_s ? `, back in ${format.age(e.back_in_s)}` : ""}`];
  return e.healthy ? ["ok", "healthy"] : ["bad", "unhealthy"];
}

function lastError(e) {
  if (!e.last_error) return "–";
  return `${e.last_error.replace(/_/g, " ")}${e.last_error_of_check ? " of a check" : ""}, ${format.age(e.last_error_s)} ago`;
}

export const upstreams = {
  id: "upstreams", isCounted: true, title: "Upstreams", place: "left",
  build(place) {
    const asked = table("Attempts of the last ten seconds by upstream", [["upstream"], ...NUMBERS]);
    const members = table("Endpoints", [["endpoint"], ["state"], ["in flight", true], ["latency", true], ["last error"], ["weight", true], ["ejected", true], [""]]);
    place.append(asked.root, members.root);
    Object.assign(this, { asked, members });
  },
  show(s) {
    numbers(this.asked.body, "upstream", s.traffic.attempts, []);
    const inFlight = new Map(s.traffic.endpoints.map((u) => [u.name, u.in_flight]));
    const all = s.upstreams.flatMap((u) => u.endpoints.map((e) => ({ ...e, upstream: u.name })));
    keep(this.members.body, all, (e) => `${e.upstream} ${e.url}`, (e) => {
      const state = badge();
      const actions = buttons("upstreams", "endpoint", e.upstream, e.url);
      return { ...row(`${e.upstream}  ${e.url}`, [state.root, "num", "num", "text", "num", "num", actions.root]), state, actions };
    }, ({ cells, state, actions }, e) => {
      cells[3].className = "wrap";
      state.show(...endpointState(e));
      const isOrdered = e.drained || e.policy_weight !== undefined;
      actions.show((verb) => (verb === "reset" ? isOrdered : verb !== "drain" || !e.drained));
      say(cells[1], inFlight.get(e.upstream)?.[e.url] || 0);
      say(cells[2], format.time(e.latency_s));
      say(cells[3], lastError(e));
      say(cells[4], e.policy_weight === undefined ? e.weight : `${e.weight}, policy ${e.policy_weight}`);
      say(cells[5], `${e.ejections}×`);
    });
    return s.upstreams.length;
  },
};

export const retries = {
  id: "retries", title: "Retries, budgets, ladders, hedges", place: "left",
  build(place) {
    this.budgets = table("Retry budgets", [["budget"], ["left", true], ["extra per call", true], ["denied", true], ["retried calls, last ten seconds"]]);
    this.ladders = table("Rungs that answered, last ten seconds", [["ladder"], ["rungs"]]);
    this.hedges = table("Hedges", [["hedge"], ["after", true], ["extra load", true], ["won", true], ["denied", true]]);
    place.append(this.budgets.root, this.ladders.root, this.hedges.root);
  },
  show(s) {
    const retried = new Map(s.traffic.retries.map((r) => [r.name, r]));
    keep(this.budgets.body, s.budgets, (b) => b.name, (b) => row(b.name, ["num", "num", "num", "text"]), ({ cells }, b) => {
      const now = retried.get(b.name);
      say(cells[0], format.percent(b.remaining));
      say(cells[1], `${format.percent(b.share)} of ${format.percent(b.ratio)}`);
      say(cells[2], format.count(b.denied));
      say(cells[3], now ? shares(now.calls, "successful_without_retry") || "none" : "none");
    });
    keep(this.ladders.body, s.traffic.fallbacks, (f) => f.name, (f) => row(f.name, ["text"]), ({ cells }, f) => {
      say(cells[0], shares(f.steps) || "none");
    });
    keep(this.hedges.body, s.hedges, (x) => x.name, (x) => row(x.name, ["num", "num", "num", "num"]), ({ cells }, x) => {
      say(cells[0], format.time(x.delay_s));
      say(cells[1], format.percent(x.extra_load));
      say(cells[2], `${format.count(x.won)} of ${format.count(x.hedges)}`);
      say(cells[3], format.count(x.denied));
    });
    this.ladders.root.hidden = s.traffic.fallbacks.length === 0;
    this.hedges.root.hidden = s.hedges.length === 0;
    return s.budgets.length + s.traffic.fallbacks.length + s.hedges.length;
  },
};
