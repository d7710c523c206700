/**
 * What an administrator does whose saga asks for it: puts a file back under the name that a third party has taken from it, where
 * that file has a name yet. Decides nothing about the saga.
 */
import type { SagaResult } from '../../engine/running/result.ts';
import type { Sim } from '../../sim/create-sim.ts';
import { asksFor } from '../laws/moved-files.ts';

/** The files that the error of a saga names, and asks to have back. */
export function putBackWhatIsAskedFor({ world }: Sim, result: Pick<SagaResult, 'error'> | undefined): void {
  for (const path of new Set(world.moved.map(each => each.path)))
    if (asksFor(result, path)) world.putBack(path);
}
