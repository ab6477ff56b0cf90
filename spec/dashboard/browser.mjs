// A Chromium of a spec's own, and what it saw.
//
//     const { page, seen, axe } = await open(url, { colorScheme: "dark" });
//
// `seen.requests` are all URLs that the page asked for, `seen.bytes` the sizes of its files,
// `seen.errors` what it complained about.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(new URL("../../build/npm/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export async function open(url, options = {}) {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-background-networking", "--disable-gpu"],
  });
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, bypassCSP: false, ...options });
  context.setDefaultTimeout(60000); // specs share the processors
  const page = await context.newPage();
  const seen = { requests: [], bytes: {}, errors: [] };
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") seen.errors.push(message.text());
  });
  page.on("response", async (response) => {
    const { pathname } = new URL(response.url());
    if (["/events", "/generations", "/status"].includes(pathname) || response.request().method() !== "GET") return;
    seen.bytes[pathname] = (await response.body().catch(() => "")).length;
  });
  await page.goto(url);
  return { browser, page, seen };
}

/** What axe finds wrong with the page as it is: "rule: element", none when it is clean. */
export async function axe(page) {
  // Its own world: the page's policy lets no foreign script in.
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  await session.send("Runtime.evaluate", { expression: axeSource, contextId: executionContextId });
  const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
    contextId: executionContextId, awaitPromise: true, returnByValue: true,
    expression: `axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations.flatMap((v) =>
      v.nodes.map((n) => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`,
  });
  await session.detach();
  if (exceptionDetails) throw new Error(exceptionDetails.text);
  return result.value;
}
