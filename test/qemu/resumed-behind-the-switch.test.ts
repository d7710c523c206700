/**
 * On real QEMUs, another client that resumes the guest right behind the switch and stops it again before the saga looks: replies and
 * events come in the order in which QEMU has done what they tell of, so that the guest is known to have written to its new images alone.
 */
import { describe, expect, test } from 'vitest';
import { onEachVersion } from './each-version.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSwitched, expectTakenBack, explain, type Stage, stage } from './witnessed.ts';

/** The looks that go out in one write with the switch, behind it. */
const LOOKS = ['query-status', 'query-migrate'] as const;

async function runForAMoment({ vm }: Stage): Promise<void> {
  await vm.witness.execute('cont');
  await vm.awaitWrites(6);
  await vm.witness.execute('stop');
}

describeOnQemu('a guest that a third party resumes and stops in the pause', () => {
  onEachVersion((qemu, version) => {
    describe.skipIf(version === '5.2')(`of QEMU ${version}`, () => {
      test.each(LOOKS)(
        'behind the switch, in front of %s, stays on its new images with all that it wrote',
        async look => {
          await using on = await stage({ qemu, disks: 3 });
          const switched = Promise.withResolvers<void>();
          on.tap.after('blockdev-reopen', async () => switched.resolve());
          on.tap.before('blockdev-reopen', async () => {
            on.tap.before(look, async () => {
              await switched.promise;
              await runForAMoment(on);
            });
          });
          const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' });
          const result = await saga.result;
          expect(on.tap.pending).toEqual([]);
          await expectSwitched(on, result);
        },
      );

      test('in front of the switch is taken back to its old images with all that it wrote', async () => {
        await using on = await stage({ qemu, disks: 3 });
        on.tap.before('stop', () => runForAMoment(on), 1);
        const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' });
        const result = await saga.result;
        expect(result.error, explain(result)).toMatchObject({ code: 'FOREIGN' });
        await expectTakenBack(on, result);
      });
    });
  });
});
