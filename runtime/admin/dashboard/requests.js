// Single requests: the newest, or those that failed, and of one of them all that was decided on its way.

import { h, say, keep, badge, table, row, format } from "./dom.js";

const SHOWN = 15;
const EVERY_MS = 2000;

function toneOf(request) {
  if (request.status >= 500 || request.status === 0) return "bad";
  return request.status >= 400 || request.why !== "ok" ? "warn" : "ok";
}

const time = (ms) => format.time(ms / 1e3);
const clock = (stamp) => stamp.slice(11, 23);

function describe(link) {
  const known = new Set(["at_ms", "took_ms", "what", "name", "result", "policy", "number"]);
  const rest = Object.entries(link).filter(([key, value]) => !known.has(key) && value !== null && value !== "");
  return rest.map(([key, value]) => `${key.replace(/_/g, " ")} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
}

// A bar from when something began to when it had ended.
function lane(link, whole) {
  const bar = h("i");
  bar.style.left = `${Math.min(99, (link.at_ms / whole) * 100)}%`;
  bar.style.width = `${Math.max(1, Math.min(100, ((link.took_ms || 0) / whole) * 100))}%`;
  return h("span.lane", { "aria-hidden": "true" }, bar);
}

function waterfall(request) {
  const whole = Math.max(request.duration_ms || 0, ...request.chain.map((l) => l.at_ms + (l.took_ms || 0)), 0.001);
  const list = table("What was decided, in order", [["what"], ["name"], ["at", true], ["took", true], ["when"], ["result"], ["more"]]);
  for (const link of request.chain) {
    list.body.append(h("tr", {}, h("th", { scope: "row" }, [link.what, link.number].filter(Boolean).join(" ")), h("td", {}, link.name || ""),
      h("td.num", {}, time(link.at_ms)), h("td.num", {}, link.took_ms ? time(link.took_ms) : "–"), h("td", {}, lane(link, whole)),
      h("td", {}, (link.result || "").replace(/_/g, " ")), h("td.wrap.quiet", {}, describe(link))));
  }
  return list.root;
}

export const requests = {
  id: "requests", title: "Requests", place: "bottom",
  isFailed: false, asked: 0,
  build(place) {
    const choice = (text, isFailed) => h("label", {}, h("input", {
      type: "radio", name: "requests-kind", ...(isFailed === this.isFailed ? { checked: "" } : {}),
      onchange: () => { this.isFailed = isFailed; this.refresh(true); },
    }), ` ${text} `);
    const id = h("input", { id: "request-id", size: "34", autocomplete: "off", spellcheck: "false" });
    const find = h("form", { onsubmit: (event) => { event.preventDefault(); if (id.value.trim()) this.open(id.value.trim()); } },
      choice("newest", false), choice("failed", true), h("label", { for: "request-id" }, "or by X-Request-ID "), id, " ", h("button", {}, "Find"));
    this.list = table("The newest first", [["request"], ["time"], ["client"], ["answer"], ["took", true], ["why"], [""]]);
    this.detail = h("div.detail", { tabindex: "-1", hidden: "" });
    place.append(find, this.list.root, this.detail);
  },
  async refresh(isNow) {
    if (!isNow && Date.now() - this.asked < EVERY_MS) return;
    this.asked = Date.now();
    let found;
    try {
      found = await (await fetch(`/requests?limit=${SHOWN}${this.isFailed ? "&failed=1" : ""}`)).json();
    } catch {
      return; // the link says that weir is away
    }
    keep(this.list.body, found, (r) => `${r.request_id} ${r.timestamp}`, (r) => {
      const answer = badge();
      const button = h("button", { type: "button", "aria-label": `Explain ${r.method} ${r.path}, ${r.request_id}`, onclick: () => this.open(r.request_id) }, "Explain");
      return { ...row(`${r.method} ${r.path}`, ["text", "text", answer.root, "num", "text", h("div.actions", {}, button)]), answer };
    }, (p, r) => {
      say(p.cells[0], clock(r.timestamp));
      say(p.cells[1], r.client);
      p.answer.show(toneOf(r), r.status || "none");
      say(p.cells[3], time(r.duration_ms));
      say(p.cells[4], r.why.replace(/_/g, " "));
    });
  },
  /** Shows how one request was decided. */
  async open(id) {
    const answer = await fetch(`/requests/show?${new URLSearchParams({ id })}`);
    const request = await answer.json();
    const close = h("button", { type: "button", onclick: () => { this.detail.hidden = true; } }, "Hide");
    this.detail.replaceChildren(...(answer.ok
      ? [h("h3", {}, `${request.method} ${request.path} → ${request.status} ${request.why.replace(/_/g, " ")} in ${time(request.duration_ms)} `, close),
        h("p.quiet.mono", {}, `${request.request_id}, route ${request.route || "none"}, generation ${request.generation}, worker ${request.worker}`), waterfall(request)]
      : [h("p", {}, `${request.message} `, close)]));
    this.detail.hidden = false;
    this.detail.focus();
  },
  show() {
    this.refresh(false);
    return 1;
  },
};
