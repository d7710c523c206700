/** Merges whose QEMU dies at any command, recovered without it: one set of chains for all disks, and nothing lost. */
import { describe, expect, test } from 'vitest';
import { mergedElsewhere } from '../../src/engine/durable/merged-elsewhere.ts';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import type { Saga } from '../../src/engine/running/saga.ts';
import { ageChains } from '../../src/fuzz/account/age-chains.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { Died, virtualImages } from '../../src/sim/virtual-images.ts';
import { often } from '../tiers/tier.ts';
import { killAt, type Life } from './lives.ts';

/** Of the commands that it may die at, every how manieth is tried. */
const EVERY = often(3, 1);

const DISKS = 2;
const LAYERS = 2;
const chain = (disk: number) => [0, 1, 2].map(place => fileAt(disk, place));

function fileAt(disk: number, place: number): string {
  return place === 0 ? `/images/disk${disk}.qcow2` : `/images/disk${disk}-base${LAYERS - place}.qcow2`;
}

interface Wish {
  readonly what: string;
  /** The places of each chain that are left when it is committed. */
  readonly stay: readonly number[];
  readonly deletes?: boolean;
  begin(life: Life): Promise<Saga>;
}

const named = (change: (disk: number) => object = () => ({})) =>
  Array.from({ length: DISKS }, (_, disk) => ({ disk: `dev${disk}`, ...change(disk) }));
const common = ({ guest }: Life) => ({ ...guest, id: 's', vm: 'web' });

const commitBelow = (life: Life, without: readonly string[] = []) =>
  life.engine.commit({
    ...common(life),
    disks: named(disk => ({ top: `dev${disk}[1]` })),
    delete: true,
    without,
  });

const WISHES: readonly Wish[] = [
  {
    what: 'a pull of everything',
    stay: [0],
    begin: life => life.engine.pull({ ...common(life), disks: named() }),
  },
  {
    what: 'a pull down to a base',
    stay: [0, 2],
    begin: life => life.engine.pull({ ...common(life), disks: named(disk => ({ base: `dev${disk}[2]` })) }),
  },
  {
    what: 'a pull down to the image right below',
    stay: [0, 1, 2],
    begin: life => life.engine.pull({ ...common(life), disks: named(disk => ({ base: `dev${disk}[1]` })) }),
  },
  {
    what: 'a commit below the active images that removes files',
    stay: [0, 2],
    deletes: true,
    begin: life => commitBelow(life),
  },
  {
    what: 'a pull by jobs that cannot be held back',
    stay: [0, 2],
    begin: life =>
      life.engine.pull({
        ...common(life),
        disks: named(disk => ({ base: `dev${disk}[2]` })),
        without: ['manual-finalize'],
      }),
  },
  {
    what: 'a commit by jobs that cannot be held back, which removes files',
    stay: [0, 2],
    deletes: true,
    begin: life => commitBelow(life, ['manual-finalize']),
  },
  ...(['reopen', 'finalize', 'complete'] as const).map(strategy => ({
    what: `a commit of active images by ${strategy} that removes files`,
    stay: [2],
    deletes: true,
    begin: (life: Life) =>
      life.engine.commit({ ...common(life), disks: named(), active: true, delete: true, strategy }),
  })),
];

/** QEMU and the orchestrator die behind the n-th command; undefined when the saga had ended before. */
async function dieAt(nth: number, wish: Wish) {
  const layers = { disks: DISKS, backingLayers: LAYERS };
  const prepare = (sim: Sim) => ageChains(sim, { ...layers, format: 'qcow2' });
  const work = async (life: Life) => (await wish.begin(life)).result;
  const { sim, state } = await killAt(nth, work, { ...layers, prepare });
  return state === undefined ? undefined : { sim, journal: memoryJournal(state) };
}

/** What the headers say from a front image down. */
function chainInHeaders(sim: Sim, front: string): readonly string[] {
  const files: string[] = [];
  for (let file: string | undefined = front; file !== undefined; file = sim.world.host.image(file)?.backing) {
    files.push(file);
  }
  return files;
}

describe.each(WISHES)('$what, whose QEMU dies', wish => {
  test('at any command: all chains as they were or all as they were to be, and nothing lost', async () => {
    const outcomes: string[] = [];
    for (let nth = 1; ; nth += EVERY) {
      const dead = await dieAt(nth, wish);
      if (dead === undefined) break;
      const { sim, journal } = dead;
      const row = journal.saga('s');
      if (row === undefined || row.state === 'committed' || row.state === 'rolledBack') continue;
      const result = await recoverOffline(journal, 's', { files: sim.files, images: virtualImages(sim) });
      outcomes.push(result.outcome);
      const committed = result.outcome === 'committed';
      for (const [disk, boot] of (result.boot ?? []).entries()) {
        const places = committed ? wish.stay : [0, 1, 2];
        const expected = places.map(place => fileAt(disk, place));
        // A kill between two disks may have left the chain shortened where nothing was decided: QEMU does that last.
        expect(boot.file, `killed after command ${nth}`).toBe(expected[0]);
        expect(chainInHeaders(sim, boot.file), `killed after command ${nth}`).toEqual(expected);
        expect(result.disks[disk]?.after?.chain).toEqual(expected);
      }
      const contents = (result.boot ?? []).map(({ file }, disk) => [disk, sim.world.readFile(file)] as const);
      expect(judgeWrites(new Map(contents), DISKS)).toEqual({
        ...{ upTo: sim.world.guest.acknowledged, why: undefined },
      });
      const gone = wish.deletes && committed ? [0, 1, 2].filter(place => !wish.stay.includes(place)) : [];
      const stays = [0, 1].flatMap(disk => chain(disk).filter((_, place) => !gone.includes(place)));
      expect(sim.files.list(), `killed after command ${nth}`).toEqual(stays.toSorted());
      expect(result.leftovers).toEqual([]);
    }
    expect(new Set(outcomes)).toEqual(new Set(['rolledBack', 'committed']));
    expect(outcomes).toEqual([...outcomes].sort().reverse()); // once it is decided it stays so
  });
});

test('a recovery of a commit that dies before any of its changes comes to the same', async () => {
  const wish = WISHES[3];
  expect.assert(wish !== undefined);
  let decided = 0;
  for (let nth = 1; ; nth += EVERY) {
    const first = await dieAt(nth, wish);
    if (first === undefined) break;
    const isDecided = first.journal.records('s').some(({ kind }) => kind === 'decision');
    if (!isDecided || first.journal.saga('s')?.state !== 'open') continue;
    decided += 1;
    for (let stopAt = 1; stopAt <= 4; stopAt += 1) {
      const again = await dieAt(nth, wish);
      expect.assert(again !== undefined);
      const { sim } = again;
      const images = virtualImages(sim, stopAt);
      const dying = recoverOffline(again.journal, 's', { files: sim.files, images });
      const died = await dying.catch(error => error as unknown);
      if (!(died instanceof Died)) break;
      const journal = memoryJournal(again.journal.snapshot());
      const result = await recoverOffline(journal, 's', { files: sim.files, images: virtualImages(sim) });
      expect(result.outcome).toBe('committed');
      for (const disk of [0, 1]) {
        expect(chainInHeaders(sim, fileAt(disk, 0))).toEqual([fileAt(disk, 0), fileAt(disk, 2)]);
      }
    }
  }
  expect(decided).toBeGreaterThan(2);
});

test('what QEMU may have merged into another file stays, and both are named', async () => {
  const [wish, base] = [WISHES[3], fileAt(0, 2)];
  expect.assert(wish !== undefined);
  for (let nth = 1; ; nth += 1) {
    const dead = await dieAt(nth, wish);
    expect.assert(dead !== undefined);
    const { sim, journal } = dead;
    const { sagas, ...state } = journal.snapshot();
    const [saga] = sagas;
    const isDecided = saga?.records.some(
      ({ kind, step }) => kind === 'decision' && step === 'finalizeRewrites',
    );
    if (saga === undefined || !isDecided) continue;
    const records = [
      ...saga.records,
      { ...mergedElsewhere([base]), seq: saga.records.length + 1, atMs: saga.row.createdAtMs },
    ];
    const noted = memoryJournal({ ...state, sagas: [{ ...saga, records }] });
    const result = await recoverOffline(noted, 's', { files: sim.files, images: virtualImages(sim) });
    expect(result.outcome).toBe('committed');
    expect(sim.files.list()).toEqual([...chain(0), fileAt(1, 0), fileAt(1, 2)].toSorted());
    expect(result.leftovers.map(words => words.split(' (')[0])).toEqual([base, fileAt(0, 1)]);
    expect(result.notRemoved).toEqual([fileAt(0, 1)]);
    return;
  }
});
