// Somebody who only looks, for dashboard_spec.lua: says the state's word, a line each time that it is
// another, and whether the page is live.
//
//     node watch.mjs URL [PASSWORD]
import { open } from "./browser.mjs";

const [url, password] = process.argv.slice(2);
const { page } = await open(url, password ? { httpCredentials: { username: "operator", password } } : {});
let last = "";
while (!page.isClosed()) {
  const state = await page.locator("#state b").innerText();
  const link = await page.locator("#link").innerText();
  const now = `${state} ${link.startsWith("● live") ? "live" : "away"}`;
  if (now !== last) process.stdout.write(`${now}\n`);
  last = now;
  await page.waitForTimeout(100);
}
