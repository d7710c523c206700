/**
 * Sagas on simulated guests, for pictures of them: the same bytes at every run. Each is a story that a reader should be able
 * to retell from its picture.
 */
import type { Engine } from '../src/engine/api.ts';
import { createEngine } from '../src/engine/engine.ts';
import type { Saga } from '../src/engine/running/saga.ts';
import { type MemoryJournal, memoryJournal } from '../src/journal/memory.ts';
import { createVirtualClock, type VirtualClock } from '../src/sim/host/virtual-clock.ts';
import { createSim, type Fault, type Sim } from '../src/sim/index.ts';
import type { Story } from '../src/story/story.ts';
import { tellStory } from '../src/story/tell.ts';
import { type Death, killedCopy } from './picture-deaths.ts';

const GIBIBYTE = 2 ** 30;

interface Stage {
  readonly sim: Sim;
  readonly engine: Engine;
  readonly journal: MemoryJournal;
  readonly disks: readonly { readonly disk: string; readonly to: string }[];
}

/** What several guests may share: one journal, one time. */
interface Shared {
  readonly journal: MemoryJournal;
  readonly clock: VirtualClock;
}

/** A guest whose disks hold some gibibytes, one more than the other. */
function stage(disks: number, faults: readonly Fault[] = [], shared?: Shared): Stage {
  const sim = createSim({
    ...(shared === undefined ? {} : { clock: shared.clock }),
    ...{ profile: '7.2', disks, backingLayers: 2, sizeBytes: 20 * GIBIBYTE, seed: 1, faults },
    ...{ directory: '/images', timing: { copyBytesPerMs: 2 ** 20, createMs: 6 } },
  });
  const journal = shared?.journal ?? memoryJournal(undefined, { clock: sim.clock });
  const engine = createEngine({ journal, clock: sim.clock });
  const fronts = sim.world.fronts();
  fronts.forEach((_, at) => {
    // qemu-io writes less than 2 GiB at once.
    for (let gibibyte = 0; gibibyte < 8 + (at % 3); gibibyte += 1) {
      const write = `qemu-io -d /machine/peripheral/dev${at}/virtio-backend "write ${gibibyte}G 1G"`;
      sim.world.inject('human-monitor-command', { 'command-line': write });
    }
  });
  const targets = fronts.map(({ node, path }) => ({ disk: node, to: path.replace('/disk', '/copy') }));
  return { sim, engine, journal, disks: targets };
}

function copied(
  { sim, engine, disks }: Stage,
  id: string,
  vm = 'web-1',
  finish: 'pivot' | 'leave' = 'pivot',
): Promise<Saga> {
  const guest = { qmp: sim.connect, files: sim.files };
  return sim.run(engine.copy({ ...guest, id, vm, disks, finish }));
}

async function ended(stage: Stage, id: string): Promise<Story> {
  const saga = await copied(stage, id);
  await stage.sim.run(saga.result);
  return storyOf(stage, saga, false);
}

/** As it is after so many milliseconds. */
async function after(ms: number, stage: Stage, id: string, isRunning: boolean): Promise<Story> {
  const saga = await copied(stage, id);
  await stage.sim.advance(ms);
  return storyOf(stage, saga, isRunning);
}

function storyOf({ journal }: Stage, { id, plan }: Saga, isRunning: boolean): Story {
  const row = journal.saga(id);
  if (row === undefined) throw new Error(`no saga ${id}`);
  return tellStory({ row, plan, records: journal.records(id), isRunning });
}

const FULL = { kind: 'jobFails', nth: 8, percent: 37, error: 'No space left on device' } as const;
const KILLED: Fault = {
  ...{ kind: 'kill', what: 'qemu' },
  at: { when: 'before', command: 'blockdev-reopen' },
};

/** Clones of one golden image: what the first of their chains are called in the journal of a guest that has them from one file. */
async function clones(stage: Stage, id: string): Promise<Story> {
  const based = stage.disks.map(({ disk, to }) => ({ disk, to, base: `/images/${disk}-base1.qcow2` }));
  const story = await ended({ ...stage, disks: based }, id);
  const told = JSON.stringify(story)
    .replaceAll(/disk[012]-base0/g, 'golden')
    .replaceAll(/disk[01]-base1/g, 'web-role');
  return JSON.parse(told);
}

async function killed(stage: Stage, id: string, deaths: readonly Death[]): Promise<Story> {
  return (await killedCopy(stage.sim, { id, vm: 'web-1', disks: stage.disks }, deaths)).story;
}

const THREE_DEATHS: readonly Death[] = [
  { in: 'createImages', goneMs: 4_200 },
  { in: 'mirrorDisks', goneMs: 754_000 },
  { in: 'resumeGuest', goneMs: 1_300 },
];

/** By the name of the picture. */
export const STORIES: Readonly<Record<string, () => Promise<Story>>> = {
  'copy-committed': () => ended(stage(3), '4kq2p9v1x0c7m'),
  'copy-rolled-back': () => ended(stage(3, [FULL]), '7hw0c3zq8n2dk'),
  'copy-needs-recovery': () => ended(stage(3, [KILLED]), '0vd5r8m2j6x1a'),
  'copy-under-way': () => after(6_000, stage(3), '2f9s4t7b1y3qe', true),
  'copy-interrupted': () => after(6_000, stage(3), '9n6k0u2g5w8hc', false),
  'copy-killed': () => killed(stage(3), '3x8q5v0n7c2pt', THREE_DEATHS),
  'copy-killed-in-rollback': () =>
    killed(stage(3, [FULL]), '6b1w9y4h2k8sd', [
      { in: 'mirrorDisks', goneMs: 800 },
      { in: 'undo createImages', goneMs: 96_000 },
      { in: 'undo claimFiles', goneMs: 300 },
    ]),
  'copy-of-clones': () => clones(stage(4), '1c6j3r9e5u0xb'),
  'copy-of-32': () => ended(stage(32, [{ ...FULL, nth: 75 }]), '5m1z7p3d9r4vj'),
};

/** A journal with one saga that was killed three times, and committed. */
export async function scarredJournal(): Promise<MemoryJournal> {
  const { sim, disks } = stage(3);
  const wish = { id: '3x8q5v0n7c2pt', vm: 'shop-4', disks };
  return (await killedCopy(sim, wish, THREE_DEATHS)).journal;
}

/** A journal with a saga of each kind, the last of which are still under way; each call of `step` lets them go on. */
export async function busyJournal(): Promise<{
  readonly journal: MemoryJournal;
  readonly clock: VirtualClock;
}> {
  const clock = createVirtualClock();
  const journal = memoryJournal(undefined, { clock });
  const shared = { clock, journal };
  const run = async (stage: Stage, id: string, vm: string) => {
    const saga = await copied(stage, id, vm);
    await stage.sim.run(saga.result);
    await stage.sim.advance(754_000);
  };
  await run(stage(3, [], shared), '4kq2p9v1x0c7m', 'web-1');
  await run(stage(32, [{ ...FULL, nth: 75 }], shared), '5m1z7p3d9r4vj', 'archive');
  await run(stage(3, [KILLED], shared), '0vd5r8m2j6x1a', 'mail-2');
  await run(stage(3, [FULL], shared), '7hw0c3zq8n2dk', 'db-1');
  const waiting = stage(2, [], shared);
  await waiting.sim.run((await copied(waiting, '8c4e1y6t0s9mb', 'build-7', 'leave')).result);
  const open = stage(3, [], shared);
  await copied(open, '2f9s4t7b1y3qe', 'web-2');
  await open.sim.advance(6_000);
  return shared;
}
