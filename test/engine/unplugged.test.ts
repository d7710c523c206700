/**
 * A disk that is unplugged on the simulator while a saga waits: the saga's process dies before it notices, or its QEMU dies
 * when it has. Where no saga has noticed, a dead QEMU's disks are recovered as they were.
 */
import { expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { Bus } from '../../src/sim/boot.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { often } from '../tiers/tier.ts';
import { type Life, live, smallSim } from './lives.ts';

/** Of the moments of a death, every how manieth is tried. */
const EVERY = often(2, 1);

const NEW = (index: number) => `/images/new${index}.qcow2`;
const OLD = (index: number) => `/images/disk${index}.qcow2`;
const INDEXES = [0, 1, 2];
/** What QEMU keeps open of a `-blockdev` guest's disk when its device is gone. */
const THEIRS = ['node disk1', 'node disk1-file'];

async function waiting(life: Life) {
  const disks = INDEXES.map(index => ({ disk: `dev${index}`, to: NEW(index) }));
  const saga = await life.engine.copy({ ...life.guest, id: 's', vm: 'web', finish: 'leave', disks });
  expect((await saga.result).outcome).toBe('ready');
  return saga;
}

async function unplug(sim: Sim, device = 'dev1') {
  expect(sim.world.inject('device_del', { id: device })).toEqual({ return: {} });
  await sim.advance(2);
}

const BUSES: readonly Bus[] = ['scsi-hd', 'virtio-blk', 'usb-storage'];

test.each(BUSES)(
  'a device on %s that leaves takes its node along only where no command named it',
  async bus => {
    for (const style of ['blockdev', 'drive'] as const) {
      const sim = smallSim({ disks: 3, bus, style });
      const before = sim.world.qemu?.nodes.size ?? 0;
      await unplug(sim);
      expect(sim.world.fronts().map(({ device }) => device)).toEqual(['dev0', 'dev2']);
      expect(sim.world.qemu?.nodes.size).toBe(style === 'drive' ? before - 2 : before);
      expect(sim.world.inject('device_del', { id: 'dev1' })).toMatchObject({
        error: { class: 'DeviceNotFound' },
      });
    }
  },
);

test('a disk on a bus without hot-plugging stays, and no disk is ejected', () => {
  const sim = smallSim({ bus: 'ide-hd' });
  expect(sim.world.inject('device_del', { id: 'dev1' })).toMatchObject({
    error: { class: 'GenericError', desc: "Bus 'ide.0' does not support hotplugging" },
  });
  expect(sim.world.inject('eject', { id: 'dev1', force: true })).toMatchObject({
    error: { class: 'GenericError' },
  });
});

test.each(BUSES)(
  'a process that died before it noticed: the next one takes the others back (%s)',
  async bus => {
    const sim = smallSim({ disks: 3, bus });
    const first = live(sim);
    await sim.run(waiting(first));
    const state = first.die();
    await unplug(sim);
    const next = live(sim, state);
    const result = await sim.run(next.engine.resume('s', next.guest).then(saga => saga.ended));
    expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'DISK_UNPLUGGED' } });
    expect(result.leftovers.map(words => words.replace(/ \(.*$/, ''))).toEqual(THEIRS);
    expect(result.disks.map(disk => disk.after?.file ?? null)).toEqual([OLD(0), null, OLD(2)]);
    expect(result.disks[1]?.unplugged?.file).toBe(OLD(1));
    expect(sim.files.list()).toEqual(INDEXES.map(OLD));
    const again = await sim.run(
      next.engine
        .snapshot({ ...next.guest, vm: 'web', disks: [{ disk: 'dev0', overlay: '/images/over.qcow2' }] })
        .then(saga => saga.result),
    );
    expect(again.outcome).toBe('committed');
  },
);

test('a process that dies at any command after that: the next one ends it, and nothing is left', async () => {
  let deaths = 0;
  for (let nth = 1; ; nth += EVERY) {
    const sim: Sim = smallSim({ disks: 3, bus: 'scsi-hd', onFault: () => strike() });
    const died = Promise.withResolvers<void>();
    const life = live(sim);
    const saga = await sim.run(waiting(life));
    let state: ReturnType<Life['die']> | undefined;
    const strike = () => {
      state = life.die();
      died.resolve();
    };
    // Harmless by itself: it is the moment that counts.
    sim.armFault({ kind: 'otherClient', execute: 'query-status', at: { when: 'after', nth } });
    expect(sim.world.inject('device_del', { id: 'dev1' })).toEqual({ return: {} });
    await sim.run(Promise.race([saga.ended, died.promise]));
    if (state === undefined) break;
    deaths += 1;
    const next = live(sim, state);
    if (next.journal.saga('s')?.state === 'rolledBack') continue;
    const result = await sim.run(next.engine.resume('s', next.guest).then(resumed => resumed.ended));
    expect(result, `died at ${nth}`).toMatchObject({ outcome: 'rolledBack' });
    expect(result.leftovers.map(words => words.replace(/ \(.*$/, ''))).toEqual(THEIRS);
    expect(sim.files.list(), `died at ${nth}`).toEqual(INDEXES.map(OLD));
    expect(sim.world.qemu?.jobs.size).toBe(0);
  }
  expect(deaths).toBeGreaterThan(often(5, 10));
});

test('a QEMU that dies after it was noticed: the others are recovered, whatever became of the image that left', async () => {
  let recovered = 0;
  for (let nth = 1; nth < 60; nth += EVERY) {
    const sim = smallSim({ disks: 3, bus: 'scsi-hd' });
    const life = live(sim);
    const saga = await sim.run(waiting(life));
    sim.armFault({ kind: 'kill', what: 'qemu', at: { when: 'after', nth } });
    await unplug(sim);
    const end = await sim.run(saga.ended);
    if (end.outcome === 'rolledBack') break;
    const journal = memoryJournal(life.die());
    if (!journal.records('s').some(({ step }) => step === 'unplugged')) continue;
    recovered += 1;
    // Its owner has taken it elsewhere.
    sim.world.host.unlink(OLD(1));
    const options = { files: sim.files, images: virtualImages(sim) };
    const result = await recoverOffline(journal, 's', options);
    expect(result).toMatchObject({ outcome: 'rolledBack' });
    expect(result.boot?.map(({ disk, file }) => [disk, file])).toEqual([
      ['dev0', OLD(0)],
      ['dev2', OLD(2)],
    ]);
    expect(result.disks.map(disk => disk.after?.file ?? null)).toEqual([OLD(0), null, OLD(2)]);
    expect(result.disks[1]?.unplugged).toEqual({ file: OLD(1), format: 'qcow2' });
    const left = result.leftovers.map(words => words.replace(/ \(.*$/, ''));
    expect(sim.files.list()).toEqual([OLD(0), OLD(2), ...left]);
  }
  expect(recovered).toBeGreaterThan(3);
});
