/** A group of two guests whose process dies at its n-th moment, and what each member's image says when both QEMUs have died too. */
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { type Group, memoryJournal, type SagaResult } from '../../src/index.ts';
import type { MemoryJournalState } from '../../src/journal/memory.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { Stage } from './group-stage.ts';

type Process = ReturnType<Stage['process']>;

/** What the process has left; `fronts` are the images in front before the group was asked for. */
export interface Dead {
  readonly stage: Stage;
  readonly fronts: readonly (readonly string[])[];
  readonly hasDied: boolean;
  readonly left: MemoryJournalState | undefined;
}

export const frontsOf = ({ sims }: Stage) => sims.map(({ world }) => world.fronts().map(({ path }) => path));

/** Asks for the group `g`, whose process dies at its n-th moment. */
export async function dieAt(
  diesAt: number,
  faults: readonly Fault[],
  ask: (stage: Stage, process: Process) => Promise<Group>,
): Promise<Dead> {
  const stage = Stage.two(faults);
  const fronts = frontsOf(stage);
  const first = stage.process(undefined, diesAt);
  const ended = ask(stage, first).then(({ result }) => result);
  ended.catch(() => undefined);
  await stage.clock.run(Promise.race([ended, first.died]));
  const hasDied = first.left() !== undefined;
  if (!hasDied) first.die();
  return { stage, fronts, hasDied, left: first.left() };
}

interface Recovered {
  readonly at: number;
  readonly sim: Sim;
  readonly result: SagaResult;
  /** What is to be booted from. */
  readonly files: readonly string[];
}

/** Kills both QEMUs, and recovers each member that has begun without its own, in this order. */
export async function recoverEach(
  { stage, left }: Dead,
  order: readonly number[],
): Promise<readonly Recovered[]> {
  const journal = memoryJournal(left);
  for (const sim of stage.sims) sim.kill();
  const recovered: Recovered[] = [];
  for (const at of order) {
    const sim = stage.sims[at];
    const row = journal.saga(`g.${at}`);
    if (sim === undefined || row === undefined) continue;
    const options = { files: sim.files, images: virtualImages(sim), clock: stage.clock };
    const result = await stage.clock.run(recoverOffline(journal, row.id, { ...options, qemu: 'dead' }));
    const files = result.boot?.map(({ file }) => file) ?? result.disks.map(({ after }) => after?.file ?? '');
    recovered.push({ at, sim, result, files });
  }
  return recovered;
}
