// A picture of the dashboard with the demo behind it, for the READMEs (scripts/picture): some upstreams
// fail, some customers come, and an operator looks.
//
//     node picture.mjs ADMIN SHOP UPSTREAMS OUT.png
import { open } from "./browser.mjs";

const [admin, shop, upstreams, out] = process.argv.slice(2);
const PATHS = ["/", "/users/ada/recommendations", "/products/1", "/search?q=x", "/users/ada/avatar"];
const SECONDS = 60;

async function mode(upstream, text) {
  await fetch(`http://${upstreams}/${upstream}/mode`, { method: "POST", body: text });
}

let isOver = false;
async function customer() {
  while (!isOver) {
    for (const path of PATHS) {
      await fetch(`http://${shop}${path}`).then((r) => r.arrayBuffer()).catch(() => {});
      await new Promise((wake) => setTimeout(wake, 20 + 60 * Math.random()));
    }
  }
}

await mode("recommendations", "flaky");
const { browser, page } = await open(`http://${admin}/`, { colorScheme: "light", viewport: { width: 1280, height: 860 } });
const customers = Array.from({ length: 4 }, customer);
await page.waitForTimeout((SECONDS * 2 / 3) * 1000);
await mode("prices", "down");
await page.waitForTimeout((SECONDS / 3) * 1000);
await page.locator("#breakers .tile", { hasText: "prices" }).getByText("open", { exact: true }).waitFor();
await page.screenshot({ path: out });
isOver = true;
await Promise.all(customers);
await browser.close();
