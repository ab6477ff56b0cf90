// What weir tells us, as it happens: GET /events, and again when it ends.

/**
 * Calls `on.status(document)`, `on.event(line)`, `on.missed(count)`; `on.link(isLive)` when the
 * connection comes or goes. A line is told once, however often it is sent.
 */
export function listen(on) {
  const seen = new Set();
  const source = new EventSource("/events");
  source.addEventListener("open", () => on.link(true));
  source.addEventListener("error", () => {
    on.link(false);
    // A browser gives up when it was answered something else than a stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(on), 2000);
  });
  source.addEventListener("status", (message) => on.status(JSON.parse(message.data)));
  source.addEventListener("missed", (message) => on.missed(JSON.parse(message.data).missed));
  source.addEventListener("event", (message) => {
    if (seen.has(message.data)) return; // a new stream begins with what there is
    if (seen.size > 5000) seen.clear(); // longer ago than any ring of weir's
    seen.add(message.data);
    on.event(JSON.parse(message.data));
  });
}
