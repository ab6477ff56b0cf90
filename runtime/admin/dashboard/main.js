// The dashboard: one document a second, and what happens between two.

import { h, say, mark } from "./dom.js";
import { learn, tell } from "./actions.js";
import { listen } from "./stream.js";
import * as strip from "./strip.js";
import { routes, upstreams, retries } from "./traffic.js";
import { breakers, limits, adaptive } from "./guards.js";
import { policies } from "./policies.js";
import { events } from "./events.js";
import { requests } from "./requests.js";

const PANELS = [routes, breakers, upstreams, limits, adaptive, retries, events, policies, requests];

for (const panel of PANELS) {
  panel.count = h("span.quiet");
  panel.empty = h("p.quiet", {}, "Nothing yet.");
  const title = h("h2", { id: `${panel.id}-title` }, `${panel.title} `, panel.count);
  const place = h("section", { id: panel.id, "aria-labelledby": `${panel.id}-title`, tabindex: "0" }, title, panel.empty);
  panel.build(place);
  document.getElementById(panel.place || "top").append(place);
  document.getElementById("index").append(h("li", {}, h("a", { href: `#${panel.id}` }, panel.title)));
}

let last = 0; // when a document came, of our own clock
let isLive = false;

function showLink() {
  const link = document.getElementById("link");
  const age = Math.round((performance.now() - last) / 1000);
  const isStale = last > 0 && (!isLive || age > 3);
  document.body.classList.toggle("stale", isStale);
  mark(link, "data-tone", isStale ? "bad" : isLive ? "ok" : "none");
  if (last === 0) say(link, isLive ? "live" : "connecting…");
  else say(link, isStale ? `■ no news for ${age} s: what is shown is old` : "● live");
}

listen({
  link(isOpen) {
    isLive = isOpen;
    showLink();
  },
  status(s) {
    last = performance.now();
    strip.show(s);
    for (const panel of PANELS) {
      const count = panel.show(s);
      say(panel.count, panel.isCounted ? count : "");
      panel.empty.hidden = count > 0;
    }
    showLink();
  },
  event(line) {
    for (const panel of PANELS) if (panel.hear) panel.hear(line);
  },
  missed(count) {
    events.miss(count);
  },
});
setInterval(showLink, 1000);
learn().catch((error) => tell(`What may be done is not known: ${error.message}`));
