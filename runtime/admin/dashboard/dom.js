// What all panels draw with: elements, lists that keep theirs, numbers as people read them.

/** An element: `h("td.num", { title: "x" }, "text", child)`; classes behind the name. */
export function h(what, properties, ...children) {
  const [name, ...classes] = what.split(".");
  const element = document.createElement(name);
  if (classes.length > 0) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties || {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text that is written only when it is another, so that selections and readers are left alone. */
export function say(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Makes the children of `parent` those of `items`, in order: one that is there already is kept, by
 * `key(item)`, and `update(parts, item)` tells it what is new. `create(item)` returns parts with `root`.
 */
export function keep(parent, items, key, create, update) {
  const known = parent.weirParts || (parent.weirParts = new Map());
  const wanted = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    wanted.add(name);
    let parts = known.get(name);
    if (!parts) known.set(name, (parts = create(item)));
    if (parts.root !== at) parent.insertBefore(parts.root, at);
    else at = at.nextElementSibling;
    update(parts, item);
  }
  for (const [name, parts] of known) {
    if (wanted.has(name)) continue;
    parts.root.remove();
    known.delete(name);
  }
}

const SHAPES = { ok: "●", warn: "▲", bad: "■", none: "○" };

/** A state: mark, word and colour, which all say the same. */
export function badge() {
  const shape = h("span.mark", { "aria-hidden": "true" });
  const word = h("span");
  const root = h("span", { "data-tone": "none" }, shape, " ", word);
  return {
    root,
    show(tone, text) {
      mark(root, "data-tone", tone);
      say(shape, SHAPES[tone]);
      say(word, text);
    },
  };
}

/** How much of something, with the place where it is too much. */
export function gauge(label) {
  const fill = h("i");
  const bound = h("b", { hidden: "" });
  const root = h("span.gauge", { role: "img", "aria-label": label }, fill, bound);
  return {
    root,
    show(share, limit, text) {
      const part = Math.max(0, Math.min(1, share || 0));
      fill.style.width = `${part * 100}%`;
      bound.hidden = !(limit > 0 && limit < 1);
      if (!bound.hidden) bound.style.left = `calc(${limit * 100}% - 1px)`;
      mark(root, "data-tone", limit > 0 && part >= limit ? "bad" : limit > 0 && part > limit / 2 ? "warn" : "ok");
      mark(root, "aria-label", `${label}: ${text}`);
    },
  };
}

const POINTS = 90;
const histories = new Map();

/** The values that `name` had in the last ninety seconds; `value` is the newest. */
export function remember(name, value) {
  let list = histories.get(name);
  if (!list) histories.set(name, (list = []));
  list.push(Number.isFinite(value) ? value : 0);
  if (list.length > POINTS) list.shift();
  return list;
}

const SVG = "http://www.w3.org/2000/svg";

/** A line of what was remembered; what it shows is told in numbers beside it. */
export function spark() {
  const root = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "polyline");
  root.setAttribute("class", "spark");
  root.setAttribute("viewBox", `0 0 ${POINTS - 1} 20`);
  root.setAttribute("preserveAspectRatio", "none");
  root.setAttribute("aria-hidden", "true");
  root.append(line);
  return {
    root,
    /** `marks` are ages in seconds at which something changed. */
    show(values, marks, top) {
      const most = Math.max(top || 0, ...values, 1e-9);
      const from = POINTS - values.length;
      line.setAttribute("points", values.map((v, i) => `${from + i},${(19 - (v / most) * 18).toFixed(1)}`).join(" "));
      while (root.childNodes.length > 1) root.lastChild.remove();
      for (const age of marks || []) {
        const at = document.createElementNS(SVG, "line");
        for (const [key, value] of [["x1", POINTS - 1 - age], ["x2", POINTS - 1 - age], ["y1", 0], ["y2", 20]]) {
          at.setAttribute(key, value);
        }
        root.append(at);
      }
    },
  };
}

/** A table; `columns` are [title, isNumber, width]. Rows go into `body`. */
export function table(caption, columns) {
  const head = h("tr", {}, ...columns.map(([title, isNumber]) =>
    (title ? h(isNumber ? "th.num" : "th", { scope: "col" }, title) : h("td"))));
  const body = h("tbody");
  return { root: h("table", {}, h("caption", {}, caption), h("thead", {}, head), body), body };
}

/** A row of cells; `cells` are "text", "num" or an element. Returns root and the cells. */
export function row(name, cells) {
  const made = cells.map((kind) => (kind === "num" ? h("td.num") : kind === "text" ? h("td") : h("td", {}, kind)));
  return { root: h("tr", {}, h("th", { scope: "row" }, name), ...made), cells: made };
}

export const format = {
  count(n) {
    if (n === null || n === undefined) return "–";
    if (n >= 1e6) return `${(n / 1e6).toFixed(n >= 1e7 ? 0 : 1)}M`;
    if (n >= 1e4) return `${(n / 1e3).toFixed(n >= 1e5 ? 0 : 1)}k`;
    return n >= 100 || Number.isInteger(n) ? String(Math.round(n)) : n.toFixed(1);
  },
  percent(ratio) {
    if (ratio === null || ratio === undefined) return "–";
    const p = ratio * 100;
    return `${p === 0 || p >= 10 ? Math.round(p) : p.toFixed(p < 0.1 ? 2 : 1)} %`;
  },
  time(s) {
    if (s === null || s === undefined) return "–";
    if (s < 0.001) return `${Math.round(s * 1e6)} µs`;
    if (s < 0.01) return `${(s * 1e3).toFixed(1)} ms`;
    if (s < 1) return `${Math.round(s * 1e3)} ms`;
    return s < 10 ? `${s.toFixed(1)} s` : format.age(s);
  },
  age(s) {
    if (s < 60) return `${Math.floor(s)} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
  },
  bytes(b) {
    if (b >= 1 << 30) return `${(b / (1 << 30)).toFixed(1)} GiB`;
    return b >= 1 << 20 ? `${Math.round(b / (1 << 20))} MiB` : `${Math.round(b / 1024)} KiB`;
  },
};
