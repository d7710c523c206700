/**
 * A disk that is unplugged and plugged in again by a third party while its copy waits, under the same id: in front of its own image,
 * of the new one, and of another one. What QEMU refuses is pinned here too, since the saga builds on it.
 */
import { expect, test } from 'vitest';
import { diskNames, sagaToken } from '../../src/plan/names.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { describeOnQemu } from './real-qemu.ts';
import { type Stage, stage } from './witnessed.ts';

const ID = 'again';
const { image: TARGET } = diskNames(sagaToken(ID), 1);
const UNPLUG = { execute: 'device_del', arguments: { id: 'dev1' } } as const;
const IDLE = { disks: 3, journal: 'memory', bus: 'scsi-hd' } as const;

/** A copy at READY whose second disk is unplugged and at once plugged in again; gives the refusal, or null. */
async function replug(on: Stage, drive: string): Promise<string | null> {
  const { witness } = on.vm;
  const device: { readonly [key: string]: Json } = {
    driver: 'scsi-hd',
    id: 'dev1',
    drive,
    bus: 'scsi0.0',
    'scsi-id': 1,
  };
  const left = witness.execute(UNPLUG.execute, UNPLUG.arguments);
  const back = witness.execute('device_add', device).then(
    () => null,
    (error: unknown) => String(error),
  );
  await left;
  return back;
}

async function devices({ vm }: Stage): Promise<readonly (string | undefined)[]> {
  const blocks = (await vm.witness.execute('query-block')) as readonly { readonly qdev?: string }[];
  return blocks.map(({ qdev }) => qdev);
}

async function waiting(on: Stage) {
  const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, id: ID, finish: 'leave' });
  expect((await saga.result).outcome).toBe('ready');
  return saga;
}

describeOnQemu('a disk that is plugged in again while its copy waits', () => {
  test.each([
    ['its own image', 'disk1'],
    ['the new image', TARGET],
  ])('cannot be put in front of %s, and has left', async (_what, drive) => {
    await using on = await stage(IDLE);
    const saga = await waiting(on);
    expect(await replug(on, drive)).toMatch(/Permission conflict|[Cc]onflict/);
    const result = await saga.ended;
    expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'DISK_UNPLUGGED' } });
    expect(result.disks[1]?.unplugged?.file).toBe(on.before.fronts[1]?.chain[0]);
    expect(await on.vm.witness.execute('query-status')).toMatchObject({ running: true });
  });

  test('in front of another image, is not where the saga leaves it; unplugged again, it has left', async () => {
    await using on = await stage(IDLE);
    const saga = await waiting(on);
    const { witness } = on.vm;
    const other = { driver: 'null-co', 'node-name': 'other', size: 16_777_216, 'read-zeroes': true } as const;
    await witness.execute('blockdev-add', other);
    expect(await replug(on, 'other')).toBe(null);
    const stuck = await Promise.race([
      saga.ended,
      sleep(systemClock, 500).then(() => saga.pivot().catch(() => saga.ended)),
    ]);
    expect(stuck).toMatchObject({ outcome: 'needsRecovery', error: { code: 'FOREIGN' } });
    expect(stuck.disks.map(({ after }) => after?.file.includes('null-co') ?? null)).toEqual([
      false,
      true,
      false,
    ]);
    await witness.execute(UNPLUG.execute, UNPLUG.arguments);
    await expect.poll(() => devices(on)).not.toContain('dev1');
    const result = await (await on.engine.resume(ID, on.tapped)).result;
    expect(result).toMatchObject({ outcome: 'rolledBack' });
    expect(result.disks[1]?.unplugged?.file).toBe(on.before.fronts[1]?.chain[0]);
    expect(await on.vm.witness.execute('query-status')).toMatchObject({ running: true });
  });
});
