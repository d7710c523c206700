// Makes sure that a Chromium is on this machine for the tests of the page. On Debian as root it installs the package; elsewhere
// it says what to install. With BLOCKSAGA_REQUIRE_CHROMIUM=1 a missing one is a failure.
import { existsSync } from 'node:fs';
import { aptInstall } from './apt-install.mjs';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const isMissing = () => !PLACES.some(place => existsSync(place));

if (isMissing()) aptInstall(['chromium', 'fonts-inter', 'fonts-dejavu-core'], 'needed to test the page');

if (isMissing()) {
  console.error('\n*** no Chromium found: the page will not be tested in a browser. Install chromium.\n');
  if (process.env.BLOCKSAGA_REQUIRE_CHROMIUM === '1') process.exit(1);
}
