/** What becomes of dirty bitmaps, on the simulator: in every version that can merge them, and in one that cannot. */
import { describe, expect, test } from 'vitest';
import type { BlockDeviceInfo } from '../../src/qmp/schema.generated.ts';
import type { ProfileName } from '../../src/sim/index.ts';
import { turns } from '../tiers/tier.ts';
import { entered, live, smallSim } from './lives.ts';

const inTurn = turns();

const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'] as const;

/** Bitmaps on the first disk, of a guest that then writes for a while. */
function guestOn(profile: ProfileName) {
  const sim = smallSim({ profile, seed: 5 });
  const add = (args: object) => sim.world.inject('block-dirty-bitmap-add', { node: 'disk0', ...args });
  add({ name: 'kept', persistent: true });
  add({ name: 'fine', granularity: 4_096 });
  add({ name: 'off', persistent: true, disabled: true });
  sim.clock.advance(20);
  return {
    sim,
    life: live(sim),
    bitmaps: (index: number) => bitmapsOf(sim, sim.world.fronts()[index]?.node ?? ''),
  };
}
type Guest = ReturnType<typeof guestOn>;

function bitmapsOf(sim: Guest['sim'], node: string) {
  const reply = sim.world.inject('query-named-block-nodes', { flat: true }) as
    | { readonly return: readonly BlockDeviceInfo[] }
    | undefined;
  const found = reply?.return.find(each => each['node-name'] === node)?.['dirty-bitmaps'] ?? [];
  return found.flatMap(({ name, granularity, persistent, recording, count }) =>
    name === undefined ? [] : [{ name, granularity, persistent, recording, count }],
  );
}

const disks = ['disk0', 'disk1'].map((disk, at) => ({ disk, to: NEW[at] ?? '' }));

async function copied({ sim, life }: Guest, more: object = {}) {
  return sim.run((await sim.run(life.engine.copy({ ...life.guest, id: 's', disks, ...more }))).result);
}

const PROFILES = ['5.2', '7.2', '10.0', '11.1'] as const;

describe.each(PROFILES)('dirty bitmaps of QEMU %s', profile => {
  test.each(['auto', 'finalize', 'complete'] as const)('go along with a copy: %s', async strategy => {
    const guest = guestOn(profile);
    const before = guest.bitmaps(0);
    expect(before.map(({ count }) => count)).toEqual([0, expect.any(Number), expect.any(Number)]);
    const result = await copied(guest, { strategy });
    expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
    expect(result).not.toHaveProperty('losses');
    const after = guest.bitmaps(0);
    expect(after.map(({ count: _, ...bitmap }) => bitmap).sort(byName)).toEqual(
      before.map(({ count: _, ...bitmap }) => bitmap).sort(byName),
    );
    for (const { name, count } of before) {
      expect(after.find(each => each.name === name)?.count).toBeGreaterThanOrEqual(count);
    }
    expect(guest.bitmaps(1)).toEqual([]);
  });

  test('are sent in the pause without a question of their own', async () => {
    const bare = smallSim({ profile, seed: 5 });
    const guest = guestOn(profile);
    const life = live(bare);
    await bare.run((await bare.run(life.engine.copy({ ...life.guest, id: 's', disks }))).result);
    await copied(guest);
    const inPause = (sent: readonly string[]) =>
      sent.slice(sent.lastIndexOf('stop'), sent.lastIndexOf('cont'));
    expect(inPause(guest.life.sent).filter(name => name !== 'transaction')).toEqual(inPause(life.sent));
  });

  test('go on in the overlays of a snapshot, persistent or not', async () => {
    const guest = guestOn(profile);
    const { sim, life } = guest;
    const overlays = disks.map(({ disk, to }) => ({ disk, overlay: to }));
    const saga = await sim.run(life.engine.snapshot({ ...life.guest, id: 's', disks: overlays }));
    expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed' });
    expect(
      guest
        .bitmaps(0)
        .map(({ name, persistent }) => ({ name, persistent }))
        .sort(byName),
    ).toEqual([
      { name: 'fine', persistent: false },
      { name: 'kept', persistent: true },
    ]);
  });

  test.each([
    ['finalize', 'parkMirrors'],
    ['finalize', 'finalizeMirrors'],
    ['finalize', 'resumeGuest'],
    ['auto', profile === '5.2' ? 'parkMirrors' : 'endMirrorsInPlace'],
    ['complete', 'completeMirrors'],
  ] as const)('are with their disks where the process dies: %s, %s', async (strategy, leaf) => {
    for (const delayMs of inTurn([0, 0.1, 0.3, 0.6, 1, 2], 2)) {
      const guest = guestOn(profile);
      const { sim, life } = guest;
      const saga = await sim.run(life.engine.copy({ ...life.guest, id: 's', disks, strategy }));
      await sim.run(entered(saga, leaf));
      sim.clock.advance(delayMs);
      const next = live(sim, life.die());
      const resumed = await sim.run(next.engine.resume('s', next.guest));
      const { outcome, leftovers } = await sim.run(resumed.ended);
      expect(['committed', 'rolledBack']).toContain(outcome);
      expect(leftovers).toEqual([]);
      const names = guest.bitmaps(0).map(({ name }) => name);
      expect(names.sort(), `${delayMs} ms, ${outcome}`).toEqual(['fine', 'kept', 'off']);
    }
  });
});

test('of a QEMU that cannot merge them are named before and after', async () => {
  const guest = guestOn('3.1');
  const { sim, life } = guest;
  const losses = [expect.stringMatching(/^disk disk0: its dirty bitmaps .*"kept".* stay behind/)];
  expect(await sim.run(life.engine.planCopy({ ...life.guest, disks }))).toMatchObject({ losses });
  expect(await copied(guest)).toMatchObject({ outcome: 'committed', losses });
});

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name.localeCompare(b.name);
}
