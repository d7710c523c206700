/**
 * What an administrator does whose saga asks for it: puts a file back under the name that a third party has taken from it, where
 * that file has a name yet. Decides nothing about the saga.
 */
import type { SaidAbove } from '../../engine/recovery/find-above.ts';
import type { SagaResult } from '../../engine/running/result.ts';
import type { Sim } from '../../sim/create-sim.ts';
import { newestShown } from '../laws/judge-writes.ts';
import { asksFor, isUnproved } from '../laws/moved-files.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { fileInChain } from '../scenario/wish-files.ts';

/**
 * The files that the error of a saga names and that are right where they stand, though other ones than it knew: those into which QEMU has
 * written last, and first ones that were put back.
 */
export function rightWhereTheyStand(
  { world }: Sim,
  result: Pick<SagaResult, 'error'> | undefined,
): readonly string[] {
  const { acknowledged } = world.guest;
  const newest = (file: string | undefined) =>
    file === undefined ? 0 : newestShown(world.readFile(file), acknowledged);
  return world.moved.flatMap(({ path, to, made, birth, back }) => {
    const stands = world.host.files.get(path);
    // The first file has been put back, and the saga knew another one's.
    if (back !== undefined && stands?.birth === birth && asksFor(result, path)) return [path];
    if (stands === undefined || stands.written === made?.written || !asksFor(result, path)) return [];
    return newest(path) > newest(to) ? [path] : [];
  });
}

/**
 * The names that the error of a saga asks about and under which rightly nothing is: no third party has taken them from a file, so that
 * the saga had not made it, or has removed it.
 */
export function rightlyNotThere(
  { world }: Sim,
  result: Pick<SagaResult, 'error'> | undefined,
  names: readonly string[],
): readonly string[] {
  const isTaken = (name: string) => world.moved.some(({ path, back }) => path === name && back === undefined);
  return names.filter(name => !world.host.files.has(name) && !isTaken(name) && asksFor(result, name));
}

/**
 * The names that the error of a saga asks about and under which rightly a file is that it does not know, as its journal is older than that:
 * no third party has put another one there.
 */
export function rightlyUnknown(
  { world }: Sim,
  result: Pick<SagaResult, 'error'> | undefined,
  names: readonly string[],
): readonly string[] {
  const isTaken = (name: string) => world.moved.some(({ path, back }) => path === name && back === undefined);
  return names.filter(name => world.host.files.has(name) && !isTaken(name) && isUnproved(result, name));
}

/** The files that the error of a saga names, and asks to have back; true where there was one to be put back. */
export function putBackWhatIsAskedFor(
  { world }: Sim,
  result: Pick<SagaResult, 'error'> | undefined,
): boolean {
  const asked = [...new Set(world.moved.map(each => each.path))].filter(path => asksFor(result, path));
  return asked.filter(path => world.putBack(path)).length > 0;
}

/** What the recovery asks about as an overlay, and is the image of a disk that a third party took the name from: it gets that again. */
export function putOldBack(
  { world }: Sim,
  { guest, wish }: Pick<Scenario, 'guest' | 'wish'>,
  { ranOn = [] }: SaidAbove,
): boolean {
  const old = wish.named.map(index => fileInChain(guest, index, 0));
  const taken = world.moved.filter(
    ({ path, to, back }) => old.includes(path) && ranOn.includes(to ?? '') && back === undefined,
  );
  return taken.filter(({ path }) => world.putBack(path)).length > 0;
}
