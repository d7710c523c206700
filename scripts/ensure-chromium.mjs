// Makes sure that a Chromium is on this machine for the tests of the page. On Debian as root it installs the package; elsewhere
// it says what to install. With BLOCKSAGA_REQUIRE_CHROMIUM=1 a missing one is a failure.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const isMissing = () => !PLACES.some(place => existsSync(place));

function run(command, args) {
  const result = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: 15 * 60_000,
  });
  return result.status === 0;
}

if (isMissing() && existsSync('/usr/bin/apt-get') && process.getuid?.() === 0) {
  console.log('Installing chromium (needed to test the page) ...');
  const install = [
    'install',
    '-y',
    '-qq',
    '--no-install-recommends',
    'chromium',
    'fonts-inter',
    'fonts-dejavu-core',
  ];
  if (!run('apt-get', install)) {
    run('apt-get', ['update', '-qq']);
    run('apt-get', install);
  }
}

if (isMissing()) {
  console.error('\n*** no Chromium found: the page will not be tested in a browser. Install chromium.\n');
  if (process.env.BLOCKSAGA_REQUIRE_CHROMIUM === '1') process.exit(1);
}
