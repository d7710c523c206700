/** A snapshot with mirrors under attack: its orchestrator or its QEMU dies anywhere, any command fails, any job does. */
import { describe, expect, test } from 'vitest';
import type { Publisher } from '../src/engine/connection/publish.ts';
import { createEngine } from '../src/engine/engine.ts';
import { recoverOffline } from '../src/engine/recovery/recover-offline.ts';
import { createMortal } from '../src/fuzz/account/mortal.ts';
import { judgeWrites } from '../src/fuzz/laws/judge-writes.ts';
import type { OrchestratorDeath } from '../src/fuzz/scenario/scenario.ts';
import { type MemoryJournalState, memoryJournal } from '../src/journal/memory.ts';
import type { SnapshotRequest } from '../src/operations/requests.ts';
import type { Sim } from '../src/sim/create-sim.ts';
import type { Fault } from '../src/sim/monitor/faults.ts';
import { virtualImages } from '../src/sim/virtual-images.ts';
import { killAt, type Life, live, smallSim } from '../test/engine/lives.ts';
import { often, strides } from '../test/tiers/tier.ts';

const BASES = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const OVERLAYS = ['/images/snap0.qcow2', '/images/snap1.qcow2'];
const MIRRORS = ['/images/mirror0.qcow2', '/images/mirror1.qcow2'];
const DISKS = [0, 1].map(index => ({
  disk: `dev${index}`,
  overlay: OVERLAYS[index] ?? '',
  mirror: MIRRORS[index] ?? '',
}));
const fronts = (sim: Sim) => sim.world.fronts().map(front => front.path);
const request = (more: Partial<SnapshotRequest>) => ({ id: 's', vm: 'web', disks: DISKS, ...more });
/** Targets that are there, each on a copy of the disk's image. */
const OWN_CHAINS = DISKS.map(disk => ({ ...disk, mirrorReuse: true }));

/** Copies of the disks' images, and images on those to mirror to. */
function makeTargets({ world: { host } }: Sim): void {
  BASES.forEach((base, index) => {
    const image = host.image(base);
    expect.assert(image !== undefined);
    const copy = `${base}.copy`;
    host.write(copy, image);
    const contents = [] as unknown as typeof image.contents;
    host.write(MIRRORS[index] ?? '', { ...image, contents, backing: copy, backingFormat: 'qcow2' });
  });
}

/** What is asked for at READY, and what comes of it. */
const WISHES = {
  pivot: { outcome: 'committed', disks: MIRRORS, files: [...BASES, ...MIRRORS, ...OVERLAYS], nodes: 4 },
  keepSnapshot: { outcome: 'committed', disks: OVERLAYS, files: [...BASES, ...OVERLAYS], nodes: 4 },
  abort: { outcome: 'rolledBack', disks: BASES, files: BASES, nodes: 0 },
} as const;
type WishName = keyof typeof WISHES;

interface Lived {
  readonly sim: Sim;
  readonly state: MemoryJournalState;
  readonly sends: number;
  readonly died: boolean;
  /** The active images that the keeper of the VM's records was told of, one set for each time. */
  readonly told: string[][];
}

function listener(told: string[][]): Publisher {
  return async ({ disks }) => {
    told.push(disks.map(disk => disk.file));
  };
}

/** One process that begins the saga and asks at READY; it may die before its end. */
async function liveOnce(
  wish: WishName,
  more: Partial<SnapshotRequest>,
  dies: OrchestratorDeath | undefined,
): Promise<Lived> {
  const sim = smallSim();
  if (more.disks === OWN_CHAINS) makeTargets(sim);
  const journal = memoryJournal(undefined, { clock: sim.clock });
  let sends = 0;
  const passage = {
    sent: () => {
      sends += 1;
    },
    received: () => undefined,
    fileTouched: () => undefined,
    fileLooked: () => undefined,
    recorded: () => undefined,
  };
  const agent = () => Promise.reject(new Error('no agent was asked for'));
  const { connect, clock, files } = sim;
  const images = virtualImages(sim);
  const parts = { connect, journal, clock, files, agent, images, dies, lingerMs: 0.2, passage };
  const mortal = createMortal(parts);
  const told: string[][] = [];
  const onCommit = listener(told);
  const engine = createEngine({ journal: mortal.journal, clock: mortal.clock, onCommit });
  const guest = { qmp: mortal.connect, files: mortal.files };
  const work = async () => {
    const saga = await engine.snapshot({ ...guest, ...request(more) });
    saga.result.catch(() => undefined);
    await saga.result;
    await saga[wish]();
  };
  const end = work().catch(error => {
    if (mortal.isAlive()) throw error;
  });
  await sim.run(Promise.race([end, mortal.death]));
  await sim.advance(20);
  return { sim, state: journal.snapshot(), sends, died: !mortal.isAlive(), told };
}

/** The next process resumes the saga, and asks again where it waits. */
async function goOn({ sim, state, told }: Lived, wish: WishName) {
  const next = live(sim, state, { onCommit: listener(told) });
  const row = next.journal.saga('s');
  if (row === undefined) return undefined;
  const saga = await sim.run(next.engine.resume('s', next.guest));
  const result = await sim.run(saga.result);
  return result.outcome === 'ready' ? sim.run(saga[wish]()) : result;
}

function expectPromise({ sim, told }: Lived, wish: WishName, what: string): void {
  const { disks, files, nodes } = WISHES[wish];
  expect([fronts(sim), sim.files.list(), sim.world.running], what).toEqual([disks, files, true]);
  const ask = (command: string, args = {}) => (sim.world.inject(command, args)?.['return'] ?? []) as object[];
  expect(ask('query-jobs'), what).toEqual([]);
  const ours = JSON.stringify(ask('query-named-block-nodes', { flat: true })).match(/"node-name":"bs-/g);
  expect(ours?.length ?? 0, what).toBe(nodes);
  expect(JSON.stringify(ask('qom-list', { path: '/objects' })), what).not.toContain('bs-');
  expect(sim.world.cutOfFronts(), what).toMatchObject({ consistent: true });
  expect(told.at(-1) ?? BASES, what).toEqual(disks);
}

function deathsOf(sends: number): readonly OrchestratorDeath[] {
  const counted = (length: number) => Array.from({ length }, (_, index) => index + 1);
  return [
    ...counted(sends).map(nth => ({ at: 'send', nth }) as const),
    ...counted(70).flatMap(nth => [
      { at: 'record', nth, written: true } as const,
      { at: 'record', nth, written: false } as const,
    ]),
  ];
}

const inStrides = strides(20);
/** Of these, in the quick tier, every sixth. */
const tried = <Death>(deaths: readonly Death[]) => {
  const chosen = inStrides(deaths.length);
  return deaths.filter((_, at) => chosen.includes(at + 1));
};

describe.each([
  ['pivot', 'reopen'],
  ['pivot', 'finalize'],
  ['pivot', 'complete'],
  ['keepSnapshot', 'reopen'],
  ['keepSnapshot', 'finalize'],
  ['abort', 'reopen'],
] as const)('a snapshot with mirrors that is asked to %s, by %s', (wish, strategy) => {
  test('comes to that wherever its orchestrator dies', async () => {
    const whole = await liveOnce(wish, { strategy }, undefined);
    expectPromise(whole, wish, 'without a death');
    let deaths = 0;
    for (const dies of tried(deathsOf(whole.sends))) {
      const lived = await liveOnce(wish, { strategy }, dies);
      if (!lived.died) continue;
      deaths += 1;
      const result = await goOn(lived, wish);
      if (result === undefined) continue;
      expect(result, JSON.stringify(dies)).toMatchObject({ outcome: WISHES[wish].outcome });
      expectPromise(lived, wish, JSON.stringify(dies));
    }
    expect(deaths).toBeGreaterThan(often(2, 60));
  });
});

test('a snapshot with mirrors on chains of their own is switched wherever its orchestrator dies', async () => {
  const more = { disks: OWN_CHAINS };
  const whole = await liveOnce('pivot', more, undefined);
  expect(fronts(whole.sim)).toEqual(MIRRORS);
  for (const dies of tried(deathsOf(whole.sends))) {
    const lived = await liveOnce('pivot', more, dies);
    if (!lived.died) continue;
    const result = await goOn(lived, 'pivot');
    if (result === undefined) continue;
    const what = `${JSON.stringify(dies)}: ${JSON.stringify(result.error)}`;
    expect(result.outcome, what).toBe('committed');
    expect([fronts(lived.sim), lived.sim.world.running], what).toEqual([MIRRORS, true]);
    expect(
      result.disks.map(({ after }) => after?.chain),
      what,
    ).toEqual(MIRRORS.map((file, index) => [file, `${BASES[index]}.copy`]));
    const left = JSON.stringify(lived.sim.world.inject('query-jobs', {})?.['return']);
    expect(left, what).toBe('[]');
  }
});

/** More than any of these sagas sends; the loop ends where one was over before. */
const COMMANDS_MAX = 1_000;
const killedAfter = strides(10);

/** A snapshot with mirrors that waits and is asked for one of the ways on. */
function asks(wish: WishName, more: Partial<SnapshotRequest>) {
  return async (life: Life) => {
    const saga = await life.engine.snapshot({ ...life.guest, ...request(more) });
    await saga.result;
    await saga[wish]();
  };
}

describe.each([
  ['pivot', 'reopen', MIRRORS],
  ['pivot', 'finalize', MIRRORS],
  ['pivot', 'complete', MIRRORS],
  ['keepSnapshot', 'reopen', OVERLAYS],
  ['abort', 'reopen', BASES],
] as const)('a snapshot with mirrors that is asked to %s, by %s, whose QEMU dies', (wish, strategy, last) => {
  test('boots from bases, overlays or mirrors, on all disks alike, with nothing lost and nothing left', async () => {
    const seen = new Set<string>();
    for (const nth of killedAfter(COMMANDS_MAX)) {
      const { sim, state } = await killAt(nth, asks(wish, { strategy }));
      if (state === undefined) break;
      const journal = memoryJournal(state);
      const row = journal.saga('s');
      if (row === undefined || row.state === 'committed' || row.state === 'rolledBack') continue;
      const options = { files: sim.files, images: virtualImages(sim) };
      const result = await recoverOffline(journal, 's', options);
      const what = `killed after command ${nth}: ${result.why}`;
      const boot = (result.boot ?? []).map(({ file }) => file);
      const set = [BASES, OVERLAYS, MIRRORS].find(files => files.join() === boot.join());
      expect.assert(set !== undefined, `${what}: ${boot.join()}`);
      seen.add(set.join());
      expect(result.outcome, what).toBe(set === BASES ? 'rolledBack' : 'committed');
      const images = new Map(boot.map((file, disk) => [disk, sim.world.readFile(file)]));
      expect(judgeWrites(images, 2), what).toEqual({ upTo: sim.world.guest.acknowledged, why: undefined });
      const files = {
        [BASES.join()]: [],
        [OVERLAYS.join()]: OVERLAYS,
        [MIRRORS.join()]: [...MIRRORS, ...OVERLAYS],
      };
      expect(sim.files.list(), what).toEqual([...BASES, ...(files[set.join()] ?? [])]);
      expect(result.leftovers, what).toEqual(set === MIRRORS ? OVERLAYS : []);
      expect(await recoverOffline(journal, 's', options), what).toEqual(result);
    }
    expect([...seen]).toEqual(expect.arrayContaining([BASES.join(), OVERLAYS.join(), last.join()]));
  });
});

const struckAt = strides(60);

const JOB = 'a job that fails';
const FAULTS: Readonly<Record<string, (nth: number) => Fault>> = {
  'a refusal': nth => ({ kind: 'refuse', nth }),
  'a lost reply': nth => ({ kind: 'replyLost', nth }),
  'a connection cut before the effect': nth => ({ kind: 'cut', effect: 'before', nth }),
  'a connection cut after the effect': nth => ({ kind: 'cut', effect: 'after', nth }),
  [JOB]: nth => ({ kind: 'jobFails', nth, percent: 50 }),
};

describe.each([
  ['pivot', 'reopen'],
  ['pivot', 'finalize'],
  ['pivot', 'complete'],
  ['keepSnapshot', 'reopen'],
  ['abort', 'reopen'],
] as const)('a snapshot with mirrors that is asked to %s, by %s', (wish, strategy) => {
  test.each(Object.entries(FAULTS))(
    'leaves all disks on one side whenever there is %s',
    async (kind, fault) => {
      let struck = 0;
      for (const nth of struckAt(often(kind === JOB ? DISKS.length : 130, 130))) {
        const sim = smallSim({
          onFault: () => {
            struck += 1;
          },
        });
        const before = struck;
        const told: string[][] = [];
        const life = live(sim, undefined, { onCommit: listener(told) });
        sim.armFault(fault(nth));
        const work = async () => {
          const saga = await life.engine.snapshot({ ...life.guest, ...request({ strategy }) });
          const first = await saga.result;
          return first.outcome === 'ready' ? saga[wish]() : first;
        };
        const what = `${kind} at command ${nth}`;
        let result = await sim.run(work().catch(() => undefined));
        sim.endFaults();
        if (result === undefined) {
          expect(fronts(sim), what).toEqual(BASES);
          continue;
        }
        if (result.outcome === 'needsRecovery')
          result = await goOn({ sim, state: life.die(), told, sends: 0, died: true }, wish);
        await sim.advance(5);
        const set = [BASES, OVERLAYS, MIRRORS].find(files => files.join() === fronts(sim).join());
        expect.assert(set !== undefined, `${what}: ${fronts(sim).join()} ${JSON.stringify(result)}`);
        const end = set === BASES ? 'abort' : set === OVERLAYS ? 'keepSnapshot' : 'pivot';
        expect(result?.outcome, `${what}: ${JSON.stringify(result)}`).toBe(WISHES[end].outcome);
        if (set !== BASES) expect(end, what).toBe(wish);
        expectPromise(
          { sim, told, state: life.die(), sends: 0, died: false },
          end,
          `${what}: ${JSON.stringify(result)}`,
        );
        if (struck === before) break;
      }
      expect(struck).toBeGreaterThan(kind === JOB ? 0 : often(1, 40));
    },
  );
});
