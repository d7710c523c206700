/**
 * Says whether there is a QEMU to test on. With BLOCKSAGA_REQUIRE_QEMU=1 its absence is a failure; otherwise the suite
 * says loudly that it did not run. It starts no guest.
 */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { qemuBinary } from '../../src/demo/qemu-tools.ts';

const required = process.env['BLOCKSAGA_REQUIRE_QEMU'] === '1';
const found = [qemuBinary(), process.env['QEMU_IMG'] ?? 'qemu-img'].every(
  program => spawnSync(program, ['--version']).status === 0,
);

/** Like `describe`, for suites that need a real QEMU. */
export function describeOnQemu(title: string, suite: () => void): void {
  if (found) {
    describe(title, suite);
  } else if (required) {
    test(`${title}: there is a QEMU to run on`, () => {
      expect.unreachable(`BLOCKSAGA_REQUIRE_QEMU=1, but ${qemuBinary()} and qemu-img cannot both be run`);
    });
  } else {
    console.warn(`NOT RUN for want of QEMU (${qemuBinary()}, qemu-img): ${title}`);
    describe.skip(`NOT RUN for want of QEMU: ${title}`, suite);
  }
}
