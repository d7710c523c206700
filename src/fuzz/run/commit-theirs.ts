/**
 * What an administrator does whose saga asks to have a third party's overlay committed into its own image below that: commits it. Decides
 * nothing about the saga.
 */
import type { SagaResult } from '../../engine/running/result.ts';
import type { Sim } from '../../sim/create-sim.ts';
import { ASKS_TO_COMMIT } from '../account/asks-to-commit.ts';
import { takeSight } from '../account/sight.ts';

const JOB = 'theirs-commit';
const READY_MS = 2_000;

/** Commits the overlay that the error of a saga names; after `wait` it is ready to be completed. */
export async function commitWhatIsAskedFor(
  sim: Sim,
  result: Pick<SagaResult, 'error'> | undefined,
  wait: (ms: number) => Promise<void>,
): Promise<void> {
  const [, node, base] = ASKS_TO_COMMIT.exec(result?.error?.message ?? '') ?? [];
  if (base === undefined) return;
  const disk = takeSight(sim).disks.find(
    each => each.node === node || each.own === node || each.path === base,
  );
  if (disk === undefined) return;
  sim.world.inject('block-commit', { 'job-id': JOB, device: disk.node, base });
  await wait(READY_MS);
  sim.world.inject('block-job-complete', { device: JOB });
  await wait(READY_MS);
}
