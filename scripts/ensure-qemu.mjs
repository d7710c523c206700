// Makes sure that a QEMU with qemu-img is on this machine. On Debian or Ubuntu as root it installs the two
// packages; elsewhere it says what to install. With BLOCKSAGA_REQUIRE_QEMU=1 a missing QEMU is a failure.
import { spawnSync } from 'node:child_process';
import { aptInstall } from './apt-install.mjs';

const TOOLS = ['qemu-system-x86_64', 'qemu-img'];
const PACKAGES = ['qemu-system-x86', 'qemu-utils'];

const missing = () => TOOLS.filter(tool => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status !== 0);

if (missing().length > 0) aptInstall(PACKAGES, 'needed to run against a real QEMU');

const absent = missing();
if (absent.length > 0) {
  console.error(
    `\n*** ${absent.join(' and ')} not found: nothing that needs a real QEMU will run. Install ${PACKAGES.join(' and ')} ` +
      '(Debian, Ubuntu), qemu-system-x86-core and qemu-img (Fedora), or qemu (others).\n',
  );
  if (process.env.BLOCKSAGA_REQUIRE_QEMU === '1') process.exit(1);
}
