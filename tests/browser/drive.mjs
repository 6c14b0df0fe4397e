// Opens the built page in Chromium and prints, one JSON object a line, what became of it:
//   node drive.mjs CHROMIUM URL [OWNER]
// It uses the page as a person would, by the form, if there is an owner for the products, and then carries out the
// trials.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [executablePath, url, owner] = process.argv.slice(2);
const say = (verdict) => console.log(JSON.stringify(verdict));

/** Adds a product by the form, and waits until the list tells of it. */
async function useAsAPerson(page, client) {
  const id = `from-${client}`;
  await page.selectOption("#client", client);
  await page.fill("#id", id);
  await page.fill("#name", `Made by ${client}`);
  await page.fill("#owner", owner);
  await page.click("button");
  await page.waitForSelector(`[id="products/${id}"]`, { timeout: 20_000 }).catch(async (error) => {
    throw new Error(`${await page.textContent("#said")} ${error}`);
  });
}

const profile = mkdtempSync(join(tmpdir(), "selvedge-chromium-"));
const quiet = ["quic", "gpu", "background-networking", "component-update", "sync"].map((what) => `--disable-${what}`);
const args = ["--no-sandbox", "--no-first-run", ...quiet];
const browser = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args });
try {
  const page = await browser.newPage();
  page.on("console", (message) => console.error(message.text()));
  await page.goto(url);
  for (const client of owner ? await page.locator("#client option").allTextContents() : []) {
    const problem = await useAsAPerson(page, client).then(() => undefined, String);
    say({ client, trial: "page", problem });
  }
  for (const verdict of await page.evaluate(() => trials())) say(verdict);
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
