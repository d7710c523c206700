// Makes sure that a QEMU with qemu-img is on this machine. On Debian or Ubuntu as root it installs the two
// packages; elsewhere it says what to install. With BLOCKSAGA_REQUIRE_QEMU=1 a missing QEMU is a failure.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const TOOLS = ['qemu-system-x86_64', 'qemu-img'];
const PACKAGES = ['qemu-system-x86', 'qemu-utils'];

const missing = () => TOOLS.filter(tool => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status !== 0);

function run(command, args) {
  const result = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: 15 * 60_000,
  });
  return result.status === 0;
}

if (missing().length > 0 && existsSync('/usr/bin/apt-get') && process.getuid?.() === 0) {
  console.log(`Installing ${PACKAGES.join(' and ')} (needed to run against a real QEMU) ...`);
  const install = ['install', '-y', '-qq', '--no-install-recommends', ...PACKAGES];
  if (!run('apt-get', install)) {
    run('apt-get', ['update', '-qq']);
    run('apt-get', install);
  }
}

const absent = missing();
if (absent.length > 0) {
  console.error(
    `\n*** ${absent.join(' and ')} not found: nothing that needs a real QEMU will run. Install ${PACKAGES.join(' and ')} ` +
      '(Debian, Ubuntu), qemu-system-x86-core and qemu-img (Fedora), or qemu (others).\n',
  );
  if (process.env.BLOCKSAGA_REQUIRE_QEMU === '1') process.exit(1);
}
