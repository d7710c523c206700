/** Snapshots of two real guests at one instant: on all disks of both, or on none of them. */
import { expect, test } from 'vitest';
import type { SagaResult } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSwitched, expectTakenBack, type Stage, stage } from './witnessed.ts';

/** The events of the guests since `from`, by QEMU's own clocks, which are this machine's. */
function eventsMs(on: Stage, from: number, name: string): readonly number[] {
  return on.vm.witness.events
    .slice(from)
    .filter(({ event }) => event === name)
    .map(({ timestamp }) => timestamp.seconds * 1_000 + timestamp.microseconds / 1_000);
}

describeOnQemu('a group of two guests', () => {
  test('has both on their overlays, and both paused at one instant', async () => {
    await using a = await stage({ disks: 2 });
    await using b = await stage({ disks: 3 });
    const heard = [a, b].map(on => on.vm.witness.events.length);
    const group = await a.engine.group([a.snapshotAll(), b.snapshotAll()]);
    const { outcome, error, members } = await group.result;
    expect({ outcome, error }).toEqual({ outcome: 'committed', error: null });
    const times = (name: string) => [a, b].map((on, at) => eventsMs(on, heard[at] ?? 0, name));
    expect(times('STOP').map(stops => stops.length)).toEqual([1, 1]);
    expect(times('RESUME').map(resumes => resumes.length)).toEqual([1, 1]);
    expect(Math.max(...times('STOP').flat())).toBeLessThan(Math.min(...times('RESUME').flat()));
    for (const [at, on] of [a, b].entries()) {
      const result = members[at];
      expect.assert(result !== undefined);
      await expectSwitched(on, result);
    }
  });

  test('has both on their old images where QEMU refuses the snapshot of one', async () => {
    await using a = await stage({ disks: 2 });
    await using b = await stage({ disks: 2 });
    b.tap.before('transaction', () => {
      b.tap.before('blockdev-del', () => b.unspoil()); // what proves the headers closes nodes earlier
      return b.spoil(b.newFile(1));
    });
    const group = await a.engine.group([a.snapshotAll(), { ...b.snapshotAll(), ...b.tapped }]);
    const { error, members } = await group.result;
    expect(error).toMatchObject({ code: 'QMP_COMMAND', disk: 'dev1', step: 'takeSnapshotInPause' });
    await expectBothBack([a, b], members);
  });

  test('has both on their old images where a third party resumes one in the pause', async () => {
    await using a = await stage({ disks: 2 });
    await using b = await stage({ disks: 2 });
    b.tap.before('transaction', async () => {
      await expect.poll(async () => (await a.look()).status).toBe('paused');
      await sleep(systemClock, 200); // a has its overlays and has voted
      await a.vm.witness.execute('cont');
    });
    const group = await a.engine.group([a.snapshotAll(), { ...b.snapshotAll(), ...b.tapped }]);
    const { error, members } = await group.result;
    expect(error).toMatchObject({ code: 'FOREIGN', step: 'awaitGo' });
    await expectBothBack([a, b], members);
  });
});

async function expectBothBack(stages: readonly Stage[], members: readonly SagaResult[]): Promise<void> {
  for (const [at, on] of stages.entries()) {
    const result = members[at];
    expect.assert(result !== undefined);
    await expectTakenBack(on, result);
  }
}
