// What an operator may do, as weir's own description of its API lists it, and never unasked.

import { h, say, keep } from "./dom.js";

let described = {};

/** Learns which actions there are: { breakers: { open: { doc, argument, isNeeded } } }. */
export async function learn() {
  const api = await (await fetch("/openapi.json")).json();
  described = {};
  for (const [path, methods] of Object.entries(api.paths)) {
    const [, plural, verb] = path.match(/^\/(\w+)\/(\w+)$/) || [];
    const parameters = (methods.post && methods.post.parameters) || [];
    if (!parameters.some((p) => p.$ref === "#/components/parameters/Name")) continue;
    const value = parameters.find((p) => p.name === "value");
    (described[plural] ||= {})[verb] = {
      doc: methods.post.summary,
      argument: value && value.description,
      isNeeded: Boolean(value && value.required),
    };
  }
}

let fade;
/** Says what came of something, to eyes and to screen readers. */
export function tell(text) {
  const place = document.getElementById("said");
  clearTimeout(fade);
  say(place, text);
  fade = setTimeout(() => say(place, ""), 8000);
}

async function post(path) {
  try {
    const answer = await fetch(path, { method: "POST" });
    const text = await answer.text();
    let said = text;
    try {
      const json = JSON.parse(text);
      said = json.message || json.error?.message || (answer.ok ? "done" : text);
    } catch { /* plain text */ }
    tell(answer.ok ? said : `Refused: ${said}`);
  } catch (error) {
    tell(`No answer: ${error.message}`);
  }
}

/** Asks first: `title`, what it does, and for a value where one is taken. Resolves to false or the value. */
function confirm(title, doc, yes, argument, isNeeded) {
  const dialog = document.getElementById("ask");
  const input = document.getElementById("ask-value");
  say(document.getElementById("ask-title"), title);
  say(document.getElementById("ask-doc"), doc);
  say(document.getElementById("ask-yes"), yes);
  say(document.getElementById("ask-label"), argument || "");
  document.getElementById("ask-value-row").hidden = !argument;
  input.value = "";
  input.required = isNeeded;
  const no = document.getElementById("ask-no");
  no.onclick = () => dialog.close("");
  dialog.returnValue = "";
  dialog.showModal();
  (argument ? input : no).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" && input.value), { once: true });
  });
}

/** Orders `path` when the operator says yes. */
export async function order(path, title, doc, yes) {
  if ((await confirm(title, doc, yes)) !== false) await post(path);
}

const word = (text) => text.replace(/_/g, " ").replace(/^./, (c) => c.toUpperCase());

// `part` of what is `name`d: the first word of the value, which is not asked for.
async function act(plural, noun, verb, name, part) {
  const { doc, argument, isNeeded } = described[plural][verb];
  const asked = part && argument ? argument.split(" ").slice(1).join(" ") : argument;
  const title = `${word(verb)} ${noun} ${part || name}?`;
  const typed = await confirm(title, word(`${doc}.`), word(verb), asked, isNeeded);
  if (typed === false) return;
  const query = new URLSearchParams({ name });
  const value = [part, typed].filter(Boolean).join(" ");
  if (value !== "") query.set("value", value);
  await post(`/${plural}/${verb}?${query}`);
}

/** Buttons for what may be done to `name`, or a part of it; `fits(verb)`: what makes sense just now. */
export function buttons(plural, noun, name, part) {
  const root = h("div.actions");
  return {
    root,
    show(fits) {
      const verbs = Object.keys(described[plural] || {}).filter((verb) => !fits || fits(verb));
      keep(root, verbs, (verb) => verb, (verb) => ({
        root: h("button", {
          type: "button",
          "aria-label": `${word(verb)} ${noun} ${part || name}`,
          onclick: () => act(plural, noun, verb, name, part),
        }, word(verb)),
      }), () => {});
    },
  };
}
