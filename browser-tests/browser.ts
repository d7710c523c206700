/** The Chromium of this machine, for tests and screenshots. It fetches none: scripts/ensure-chromium.mjs installs Debian's. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

const ROOT = join(import.meta.dirname, '..');
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** For what never comes. Playwright's own half a minute is not enough where much else is done on the machine. */
const PATIENCE_MS = 300_000;

/** With the page as its sources are now, and a home of its own, in which Chromium leaves settings; it goes with the browser. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = PLACES.find(place => existsSync(place));
  if (executablePath === undefined) throw new Error('no Chromium: node scripts/ensure-chromium.mjs');
  buildPage();
  const home = mkdtempSync(join(tmpdir(), 'bsd-chromium-'));
  const env = {
    ...process.env,
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_CACHE_HOME: join(home, 'cache'),
  };
  const removeHome = () => rmSync(home, { recursive: true, force: true, maxRetries: 10 });
  try {
    // Its sandbox needs a user that is not root; what it opens is our own page.
    const browser = await chromium.launch({
      ...{ executablePath, args: ['--no-sandbox'], env },
      timeout: PATIENCE_MS,
    });
    browser.on('context', context => context.setDefaultTimeout(PATIENCE_MS));
    browser.on('disconnected', removeHome);
    return browser;
  } catch (error) {
    removeHome();
    throw error;
  }
}

/** Not where the page is newer than all that it is made from, as in a run of all tests, which begins with a build. */
function buildPage(): void {
  const sources = ['page', 'src', 'scripts'].flatMap(folder =>
    globSync(`${folder}/**/*.*`, { cwd: ROOT }).map(name => statSync(join(ROOT, name)).mtimeMs),
  );
  const builtMs = statSync(join(ROOT, 'dist/page/page.html'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (Math.max(...sources) < builtMs) return;
  execFileSync(process.execPath, ['scripts/bundle-page.ts'], { cwd: ROOT, stdio: 'pipe' });
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
