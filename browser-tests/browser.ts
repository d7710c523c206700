/** The Chromium of this machine, for tests and screenshots. It fetches none: scripts/ensure-chromium.mjs installs Debian's. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function startBrowser(): Promise<Browser> {
  const executablePath = PLACES.find(place => existsSync(place));
  if (executablePath === undefined) throw new Error('no Chromium: node scripts/ensure-chromium.mjs');
  // Its sandbox needs a user that is not root; what it opens is our own page.
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}
