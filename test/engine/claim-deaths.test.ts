/** A process that dies while it makes the file of a new image: the next one goes on or back, and what is left is removed or named. */
import { expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { unfinishedName } from '../../src/images/claim-text.ts';
import type { Files } from '../../src/images/files.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { diskNames, sagaToken } from '../../src/plan/names.ts';
import { BLANK, type Host } from '../../src/sim/host/host.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { live, smallSim } from './lives.ts';

const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'] as const;
const OVERLAYS = NEW.map((overlay, index) => ({ disk: `dev${index}`, overlay }));
const CLAIM = diskNames(sagaToken('s'), 1).image;
const UNFINISHED = `/images/${unfinishedName(CLAIM)}`;
const REFUSED = { faults: [{ kind: 'refuse' as const, command: 'blockdev-create' as const }] };

/** The simulator after a process has died within a file that it made, the second one as a rule, and what was durable. */
async function died(
  within: (host: Host) => void,
  options: Parameters<typeof smallSim>[0] = {},
  file: string = NEW[1],
) {
  const sim = smallSim(options);
  const first = live(sim);
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  const files: Files = {
    ...sim.files,
    async createExclusive(path, like, claim) {
      if (path !== file) return sim.files.createExclusive(path, like, claim);
      within(sim.world.host);
      resolve();
      return new Promise<never>(() => undefined);
    },
  };
  await sim.run(first.engine.snapshot({ ...first.guest, files, id: 's', disks: OVERLAYS }));
  await sim.run(reached);
  return { sim, state: first.die() };
}

const WITHIN = [
  { what: 'begun', act: (host: Host) => host.write(UNFINISHED, BLANK) },
  { what: 'whole', act: (host: Host) => host.write(UNFINISHED, { ...BLANK, claim: CLAIM }) },
  {
    what: 'under both names',
    act: (host: Host) => {
      host.write(NEW[1], { ...BLANK, claim: CLAIM });
      host.write(UNFINISHED, { ...BLANK, claim: CLAIM });
    },
  },
];

test.each(WITHIN)(
  'a file that is $what: the next process goes on, and only the new images are there',
  async ({ act }) => {
    const { sim, state } = await died(act);
    expect(sim.files.list()).toContain(UNFINISHED);
    const next = live(sim, state);
    const saga = await sim.run(next.engine.resume('s', next.guest));
    expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed', leftovers: [] });
    expect(sim.files.list()).toEqual(['/images/disk0.qcow2', '/images/disk1.qcow2', ...NEW]);
  },
);

test('the first file under both names: the next process makes the second, and takes one name from the first', async () => {
  const claim = diskNames(sagaToken('s'), 0).image;
  const unfinished = `/images/${unfinishedName(claim)}`;
  const both = (host: Host) => {
    host.write(NEW[0], { ...BLANK, claim });
    host.write(unfinished, { ...BLANK, claim });
  };
  const { sim, state } = await died(both, {}, NEW[0]);
  expect(sim.files.list()).toContain(unfinished);
  const next = live(sim, state);
  const saga = await sim.run(next.engine.resume('s', next.guest));
  expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed', leftovers: [] });
  expect(sim.files.list()).toEqual(['/images/disk0.qcow2', '/images/disk1.qcow2', ...NEW]);
});

test.each(WITHIN)('a file that is $what: where it cannot go on, nothing is left', async ({ act }) => {
  const { sim, state } = await died(act, REFUSED);
  const next = live(sim, state);
  const saga = await sim.run(next.engine.resume('s', next.guest));
  expect(await sim.run(saga.result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
  expect(sim.files.list()).toEqual(['/images/disk0.qcow2', '/images/disk1.qcow2']);
});

test.each(WITHIN)('a file that is $what: without QEMU nothing is left', async ({ act }) => {
  const { sim, state } = await died(act);
  sim.kill();
  const options = { files: sim.files, images: virtualImages(sim) };
  const { outcome, leftovers } = await recoverOffline(memoryJournal(state), 's', options);
  expect({ outcome, leftovers }).toEqual({ outcome: 'rolledBack', leftovers: [] });
  expect(sim.files.list()).toEqual(['/images/disk0.qcow2', '/images/disk1.qcow2']);
});

test("a third party's file under the new name: the saga goes back, its own is removed, theirs is named", async () => {
  const { sim, state } = await died(host => {
    host.write(UNFINISHED, BLANK);
    host.write(NEW[1], { ...BLANK, sizeBytes: 4_096 });
  });
  const next = live(sim, state);
  const saga = await sim.run(next.engine.resume('s', next.guest));
  expect(await sim.run(saga.result)).toMatchObject({ outcome: 'rolledBack', leftovers: [NEW[1]] });
  expect(sim.files.list()).toEqual(['/images/disk0.qcow2', '/images/disk1.qcow2', NEW[1]]);
});

test("a third party's file under the name that it is made by: it stays, and is named by the error", async () => {
  const { sim, state } = await died(host => host.write(UNFINISHED, { ...BLANK, sizeBytes: 4_096 }));
  const next = live(sim, state);
  const saga = await sim.run(next.engine.resume('s', next.guest));
  expect(await sim.run(saga.result)).toMatchObject({
    outcome: 'rolledBack',
    error: { code: 'TARGET_EXISTS', message: expect.stringContaining(UNFINISHED) },
    leftovers: [],
  });
  expect(sim.files.list()).toEqual([UNFINISHED, '/images/disk0.qcow2', '/images/disk1.qcow2']);
});

test('without hard links a beginning stands under the new name: it stays, and is told with its size', async () => {
  const { sim, state } = await died(host => host.write(NEW[1], BLANK));
  const next = live(sim, state);
  const saga = await sim.run(next.engine.resume('s', next.guest));
  const result = await sim.run(saga.result);
  expect(result.outcome).toBe('rolledBack');
  expect(result.leftovers).toEqual([
    expect.stringMatching(`^${NEW[1]} \\(0 bytes, which a process of this saga`),
  ]);
  expect(sim.files.list()).toContain(NEW[1]);
});

test.each(WITHIN)('a file that is $what: a process that cannot see it names it', async ({ act }) => {
  const { sim, state } = await died(act, REFUSED);
  const next = live(sim, state);
  const saga = await sim.run(next.engine.resume('s', { ...next.guest, files: null }));
  const { outcome, leftovers } = await sim.run(saga.result);
  expect(outcome).toBe('rolledBack');
  const named = leftovers.map(words => words.replace(/ \(.*/, ''));
  const made = sim.files.list().filter(file => !file.startsWith('/images/disk'));
  expect(made).toContain(UNFINISHED);
  expect(named).toEqual(expect.arrayContaining(made));
});

test('files that a process has claimed, and the next cannot see: they are named, and not said to be away', async () => {
  const sim = smallSim(REFUSED);
  const first = live(sim);
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  const saga = await sim.run(first.engine.snapshot({ ...first.guest, id: 's', disks: OVERLAYS }));
  saga.subscribe(notice => {
    if (notice.type === 'event' && notice.state.endsWith('createImages')) resolve();
  });
  await sim.run(reached);
  const next = live(sim, first.die());
  const again = await sim.run(next.engine.resume('s', { ...next.guest, files: null }));
  const { outcome, leftovers } = await sim.run(again.result);
  expect(outcome).toBe('rolledBack');
  expect(leftovers).toEqual([...NEW]);
  expect(sim.files.list()).toEqual(expect.arrayContaining([...NEW]));
});
