// An operator at the dashboard, for dashboard_spec.lua: says on stdout how far they are, a word a line, and
// at the end what they saw, as JSON. What has to happen meanwhile the spec brings about when it reads the
// word.
//
//     node operator.mjs URL
import { open, axe } from "./browser.mjs";

const url = process.argv[2];
const say = (word) => process.stdout.write(`${word}\n`);
const { browser, page, seen } = await open(url, { colorScheme: "light" });
const tile = page.getByRole("article", { name: "breaker pay" });
const dialog = page.getByRole("dialog");
const report = { axe: {} };

await tile.getByText("closed", { exact: true }).waitFor();
await page.getByRole("button", { name: "Open breaker pay" }).waitFor(); // what may be done is known
report.state = await page.locator("#state").innerText();
say("closed");

await tile.getByText("open", { exact: true }).waitFor();
report.degraded = await page.locator("#state").innerText();
report.reason = await page.locator("#reasons li").first().innerText();
await page.locator("#events td", { hasText: "pay: closed → open" }).first().waitFor();
report.last = await tile.locator(".last").innerText();
say("open");

// By keyboard, and first changing their mind.
const button = tile.getByRole("button", { name: "Close breaker pay" });
await button.focus();
await page.keyboard.press("Enter");
await dialog.waitFor();
report.asked = await dialog.innerText();
report.focus = await page.evaluate(() => document.activeElement.id);
report.axe.dialog = await axe(page);
await page.keyboard.press("Escape");
await dialog.waitFor({ state: "hidden" });
report.refocus = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
say("cancelled");

// The spec has looked that nothing was ordered when it asks for more traffic to be seen.
await page.getByText("/go-on", { exact: true }).waitFor();
await button.click();
await dialog.getByRole("button", { name: "Close" }).click();
await page.locator("#said", { hasText: "breaker 'pay'" }).waitFor();
report.said = await page.locator("#said").innerText();
await tile.getByText("forced closed", { exact: true }).waitFor();
say("forced");

await tile.getByRole("button", { name: "Auto breaker pay" }).click();
await dialog.getByRole("button", { name: "Auto" }).click();
await tile.getByText("forced closed", { exact: true }).waitFor({ state: "detached" });
say("auto");

// Why did that one fail?
await page.getByLabel("failed", { exact: true }).check();
await page.locator("#requests tr", { hasText: "/fail" }).first().getByRole("button", { name: "Explain" }).click();
await page.locator("#requests .detail table").waitFor();
report.explained = await page.locator("#requests .detail").innerText();
await page.getByLabel("or by X-Request-ID").fill("nobody");
await page.keyboard.press("Enter");
await page.locator("#requests .detail", { hasText: "no such request" }).waitFor();
await page.locator("#requests tr", { hasText: "/fail" }).first().getByRole("button", { name: "Explain" }).click();
await page.locator("#requests .detail table").waitFor();
say("explained");

report.axe.light = await axe(page);
await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
report.axe.dark = await axe(page);
report.ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
report.motion = await page.evaluate(() => getComputedStyle(document.querySelector(".gauge i")).transitionProperty);
await page.setViewportSize({ width: 420, height: 800 });
report.axe.narrow = await axe(page);
report.isWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
await page.goto(new URL("/plain", url).href);
report.plain = await page.locator("main").innerText();
report.axe.plain = await axe(page);
Object.assign(report, seen);
say(`report ${JSON.stringify(report)}`);
await browser.close();
