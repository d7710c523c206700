/** What the human monitor of each real QEMU tells of its guest's writes, which is read from text: as much as `query-blockstats` does. */
import { describe, expect, test } from 'vitest';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import { WRITES, writesIn } from '../../src/guest/guest-writes.ts';
import { onEachVersion } from './each-version.ts';
import { describeOnQemu } from './real-qemu.ts';

const textOf = (value: unknown) => writesIn({ ok: true, value: String(value) });

/** Of each disk, as QEMU says it on its other monitor. */
interface BlockStats {
  readonly stats: { readonly wr_operations: number };
}

describeOnQemu('the count of what the guest has written', () => {
  onEachVersion((qemu, version) => {
    describe(`of QEMU ${version}`, () => {
      test('is the sum of what query-blockstats tells, and rises while the guest runs', async () => {
        await using vm = await startGuestVm({ qemu, disks: 3 });
        const { witness } = vm;
        const counts: (number | undefined)[] = [];
        for (const writes of [6, 12]) {
          await witness.execute('cont');
          await vm.awaitWrites(writes);
          await witness.execute('stop');
          counts.push(textOf(await witness.execute(WRITES.execute, WRITES.arguments)));
          const told = (await witness.execute('query-blockstats')) as readonly BlockStats[];
          expect(counts.at(-1)).toBe(told.reduce((sum, { stats }) => sum + stats.wr_operations, 0));
        }
        const [first = Number.NaN, second] = counts;
        expect(second).toBeGreaterThan(first);
      });
    });
  });

  test('is not known of a text of another form', () => {
    expect(textOf('')).toBeUndefined();
    expect(textOf("unknown command: 'info blockstats'\r\n")).toBeUndefined();
    expect(textOf(': idle_time_ns=1\r\nWritten: 3\r\n')).toBeUndefined();
  });
});
