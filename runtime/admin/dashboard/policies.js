// Generations of scripts, and what they declare that is switched by hand: flags, chaos, checks, caches.

import { h, say, keep, badge, table, row, format } from "./dom.js";
import { buttons, order } from "./actions.js";

const TONES = { live: "ok", canary: "warn", shadow: "warn", warming: "warn", failed: "bad", cooling: "none", retired: "none", cold: "none" };

async function generations() {
  try {
    return await (await fetch("/generations")).json();
  } catch {
    return null; // the link says that weir is away
  }
}

function doGeneration(verb, g) {
  const path = { use: `/generations/use?number=${g.number}`, promote: "/generations/promote", end: "/generations/rollback" }[verb];
  const doc = {
    use: `Generation ${g.number} goes live again in all workers. Breakers, limiters and caches stay as they are.`,
    promote: "The canary goes live for all requests now.",
    end: `The ${g.state} goes away.`,
  }[verb];
  const title = { use: `Go back to generation ${g.number}?`, promote: `Promote generation ${g.number}?`, end: `End the ${g.state}?` }[verb];
  return order(path, title, doc, { use: "Go back", promote: "Promote", end: "End it" }[verb]);
}

function verbsOf(g) {
  if (g.state === "canary") return ["promote", "end"];
  if (g.state === "shadow") return ["end"];
  return ["cooling", "cold"].includes(g.state) ? ["use"] : [];
}

const NAMES = { use: "Go back", promote: "Promote", end: "End" };

function createGeneration(g) {
  const state = badge();
  const actions = h("div.actions");
  return { ...row(g.number ? `generation ${g.number}` : "files on disk", [state.root, "num", "num", "text", actions]), state, actions };
}

function updateGeneration(p, g) {
  p.state.show(TONES[g.state] || "none", g.state);
  say(p.cells[1], g.age_s === undefined ? "–" : format.age(g.age_s));
  say(p.cells[2], format.count(g.served));
  say(p.cells[3], g.why || (g.hash || "").slice(0, 8));
  p.cells[3].className = "wrap quiet";
  keep(p.actions, verbsOf(g), (verb) => verb, (verb) => ({
    root: h("button", { type: "button", "aria-label": `${NAMES[verb]}, generation ${g.number}`, onclick: () => doGeneration(verb, g) }, NAMES[verb]),
  }), () => {});
}

function simple(body, items, plural, noun, kinds, fill) {
  keep(body, items, (x) => x.name, (x) => {
    const state = badge();
    const actions = buttons(plural, noun, x.name);
    return { ...row(x.name, [state.root, ...kinds, actions.root]), state, actions };
  }, (p, x) => fill(p, x));
}

export const policies = {
  id: "policies", title: "Policies, flags, experiments, checks, caches", place: "right",
  build(place) {
    const reload = h("button", { type: "button", onclick: () => order("/reload", "Load the files again?", "They are tried first; files that do not load change nothing.", "Reload") }, "Reload…");
    this.generations = table("Generations", [["generation"], ["state"], ["age", true], ["served", true], ["hash, or why"], [""]]);
    this.flags = table("Flags", [["flag"], ["share"], ["said by"], ["", true]]);
    this.chaos = table("Chaos experiments", [["experiment"], ["state"], ["hit", true], ["", true]]);
    this.checks = table("Health checks", [["check"], ["state"], ["took", true], ["says"], ["", true]]);
    this.caches = table("Caches", [["cache"], ["hit rate"], ["hits", true], ["stale", true], ["misses", true], ["", true]]);
    place.append(h("p", {}, reload, " ", h("a", { href: "/generations/changes" }, "what the files on disk would change")),
      ...[this.generations, this.flags, this.chaos, this.checks, this.caches].map((t) => t.root));
    this.asked = 0;
  },
  async refresh(s) {
    const key = `${s.generation.number} ${s.reloads.live} ${s.reloads.failed}`;
    if (key === this.key && Date.now() - this.asked < 5000) return;
    this.key = key;
    this.asked = Date.now();
    const list = await generations();
    if (list) keep(this.generations.body, list, (g) => `${g.number} ${g.hash}`, createGeneration, updateGeneration);
  },
  show(s) {
    this.refresh(s);
    simple(this.flags.body, s.flags, "flags", "flag", ["text"], (p, f) => {
      p.state.show(f.overridden ? "warn" : "none", `${f.percent} %${f.overridden ? `, policy says ${f.policy_percent} %` : ""}`);
      say(p.cells[1], f.overridden ? `${f.by}${f.why ? `: ${f.why}` : ""}` : "policy");
      p.actions.show((verb) => verb !== "reset" || f.overridden);
    });
    simple(this.chaos.body, s.chaos, "chaos", "experiment", ["num"], (p, c) => {
      p.state.show(c.armed ? "warn" : "none", c.armed ? `applied, ${format.age(c.left_s)} left` : "not applied");
      say(p.cells[1], `${format.count(c.injected)} of ${format.count(c.seen)}`);
      p.actions.show((verb) => (verb === "apply" ? c.permitted && !c.armed : c.armed));
    });
    simple(this.checks.body, s.checks, "checks", "check", ["num", "text"], (p, c) => {
      p.state.show(c.state === "up" ? "ok" : c.state === "down" ? "bad" : "warn", `${c.state} for ${format.age(c.since_s)}${c.critical ? ", critical" : ""}`);
      say(p.cells[1], c.latency_ms === null ? "–" : format.time(c.latency_ms / 1e3));
      say(p.cells[2], c.output);
      p.cells[2].className = "wrap quiet";
    });
    simple(this.caches.body, s.caches, "caches", "cache", ["num", "num", "num"], (p, c) => {
      p.state.show("none", format.percent(c.hit_rate));
      say(p.cells[1], format.count(c.hit + c.coalesced));
      say(p.cells[2], format.count(c.stale));
      say(p.cells[3], format.count(c.miss));
      p.actions.show();
    });
    for (const [list, items] of [[this.flags, s.flags], [this.chaos, s.chaos], [this.checks, s.checks], [this.caches, s.caches]]) {
      list.root.hidden = items.length === 0;
    }
    return 1;
  },
};
