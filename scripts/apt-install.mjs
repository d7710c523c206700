// Installs packages on Debian and Ubuntu as root; elsewhere it does nothing, and the caller says what to install.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const APT = '/usr/bin/apt-get';
const DEADLINE_MS = 15 * 60_000;

/** `why` is printed before it begins. A list of packages that is out of date is renewed once. */
export function aptInstall(packages, why) {
  if (!existsSync(APT) || process.getuid?.() !== 0) return;
  console.log(`Installing ${packages.join(', ')} (${why}) ...`);
  const install = ['install', '-y', '-qq', '--no-install-recommends', ...packages];
  if (run(install)) return;
  run(['update', '-qq']);
  run(install);
}

function run(args) {
  const result = spawnSync(APT, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: DEADLINE_MS,
  });
  return result.status === 0;
}
