/** The Chromium of this machine, for tests and screenshots. It fetches none: scripts/ensure-chromium.mjs installs Debian's. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

const ROOT = join(import.meta.dirname, '..');
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** With the page as its sources are now. */
export function startBrowser(): Promise<Browser> {
  const executablePath = PLACES.find(place => existsSync(place));
  if (executablePath === undefined) throw new Error('no Chromium: node scripts/ensure-chromium.mjs');
  execFileSync(process.execPath, ['scripts/bundle-page.ts'], { cwd: ROOT, stdio: 'pipe' });
  // Its sandbox needs a user that is not root; what it opens is our own page.
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

/** A page that puts what its console says, and what it throws, into `strange`. */
export async function watchedPage(
  browser: Browser,
  strange: string[],
  viewport = { width: 1440, height: 1000 },
): Promise<Page> {
  const page = await browser.newPage({ viewport });
  page.on('console', message => strange.push(message.text()));
  page.on('pageerror', error => strange.push(error.message));
  return page;
}
