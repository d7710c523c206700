/** The QEMUs that the simulator can be held against here. It asks the installed one for its version, and starts no guest. */
import { spawnSync } from 'node:child_process';
import { type FetchedQemu, fetchedQemus, QEMU_VERSIONS } from '../../scripts/qemu-versions.ts';
import { qemuBinary } from '../../src/demo/qemu-tools.ts';

/** Those that were fetched, and the installed one where its version was not. */
export function qemusAtHand(): readonly Pick<FetchedQemu, 'version' | 'binary'>[] {
  const fetched = fetchedQemus();
  const installed = installedVersion();
  const version = QEMU_VERSIONS.find(each => each === installed);
  if (version === undefined || fetched.some(each => each.version === version)) return fetched;
  return [...fetched, { version, binary: qemuBinary() }];
}

/** Of the QEMU that guests of tests run on, as `7.2`; undefined where there is none. */
export function installedVersion(): string | undefined {
  const { status, stdout } = spawnSync(qemuBinary(), ['--version'], { encoding: 'utf8' });
  return status === 0 ? /version (\d+\.\d+)/.exec(stdout)?.[1] : undefined;
}
