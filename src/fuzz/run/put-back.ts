/**
 * What an administrator does whose saga asks for it: puts a file back under the name that a third party has taken from it, where
 * that file has a name yet. Decides nothing about the saga.
 */
import type { SagaResult } from '../../engine/running/result.ts';
import type { Sim } from '../../sim/create-sim.ts';
import type { MovedFile } from '../../sim/host/foreign-files.ts';
import { namedBelow } from '../account/file-headers.ts';
import { newestShown } from '../laws/judge-writes.ts';
import { asksFor, isUnproved } from '../laws/moved-files.ts';

type Asking = Pick<SagaResult, 'error'> | undefined;

/**
 * The files that the error of a saga names and that are right where they stand, though other ones than it knew: those into which QEMU has
 * written last, and first ones that were put back.
 */
export function rightWhereTheyStand(sim: Sim, result: Asking): readonly string[] {
  const { world } = sim;
  return world.moved.flatMap(each => {
    const { path, to, made, birth, back } = each;
    const stands = world.host.files.get(path);
    // The first file has been put back, and the saga knew another one's.
    if (back !== undefined && stands?.birth === birth && asksFor(result, path))
      return hasWrittenTheirs(sim, each) || isTheirsUnwritten(sim, each) ? [] : [path];
    if (stands === undefined || stands.written === made?.written || !asksFor(result, path)) return [];
    return isNewest(sim, path, path, to) ? [path] : [];
  });
}

/**
 * Whether a third party's file holds something that neither the first one does nor an image above their name: what QEMU has only merged
 * into it is in that still, and the first one holds the rest of the chain.
 */
function isNewest(sim: Sim, path: string, theirs: string, first: string | undefined): boolean {
  const { host, guest } = sim.world;
  const above = [...host.files.keys()].filter(name => name !== theirs && standsOn(host, name, path));
  const shown = above.map(name => newestShown(host.image(name)?.contents ?? [], guest.acknowledged));
  return newestIn(sim, theirs) > Math.max(newestIn(sim, first), ...shown);
}

function standsOn(host: Sim['world']['host'], name: string, path: string): boolean {
  const seen = new Set<string>();
  for (
    let at: string | undefined = name;
    at !== undefined && !seen.has(at);
    at = namedBelow(host.image(at))
  ) {
    if (at === path && at !== name) return true;
    seen.add(at);
  }
  return false;
}

/** Whether what has its name again was a third party's own, put there before, to which QEMU has written nothing. */
function isTheirsUnwritten({ world }: Sim, { path, birth }: MovedFile): boolean {
  const made = world.moved.find(each => each.path === path && each.made?.birth === birth)?.made;
  return made !== undefined && world.host.files.get(path)?.written === made.written;
}

/** Whether QEMU had a third party's file open that was moved aside for the first one, and has written to it last. */
function hasWrittenTheirs(sim: Sim, { path, back, made }: MovedFile): boolean {
  const theirs = sim.world.host.files.get(back ?? '');
  if (theirs === undefined || theirs.birth !== made?.birth || theirs.written === made.written) return false;
  return isNewest(sim, path, back ?? '', path);
}

function newestIn({ world }: Sim, file: string | undefined): number {
  return file === undefined ? 0 : newestShown(world.readFile(file), world.guest.acknowledged);
}

/** Of those that it asks to have back, the third parties' files that QEMU had open get their names again; true where there was one. */
export function putBackWhatWasOpen(sim: Sim, result: Asking): boolean {
  const { world } = sim;
  const open = world.moved.filter(each => asksFor(result, each.path) && hasWrittenTheirs(sim, each));
  return open.filter(({ path }) => world.putTheirsBack(path)).length > 0;
}

/**
 * The names that the error of a saga asks about and under which rightly nothing is: no third party has taken them from a file, so that
 * the saga had not made it, or has removed it.
 */
export function rightlyNotThere({ world }: Sim, result: Asking, names: readonly string[]): readonly string[] {
  const isTaken = (name: string) => world.moved.some(({ path, back }) => path === name && back === undefined);
  return names.filter(name => !world.host.files.has(name) && !isTaken(name) && asksFor(result, name));
}

/**
 * The names that the error of a saga asks about and under which rightly a file is that it does not know, as its journal is older than that:
 * no third party has put another one there.
 */
export function rightlyUnknown({ world }: Sim, result: Asking, names: readonly string[]): readonly string[] {
  const isTaken = (name: string) => world.moved.some(({ path, back }) => path === name && back === undefined);
  return names.filter(name => world.host.files.has(name) && !isTaken(name) && isUnproved(result, name));
}

/** The files that the error of a saga names, and asks to have back; true where there was one to be put back. */
export function putBackWhatIsAskedFor({ world }: Sim, result: Asking): boolean {
  const asked = [...new Set(world.moved.map(each => each.path))].filter(path => asksFor(result, path));
  return asked.filter(path => world.putBack(path)).length > 0;
}

/** With a directory that is put back goes what was found right in the one that stood there: such a file, by its birth, gets its name again. */
export function putBackWhatIsRight({ world }: Sim, right: ReadonlyMap<string, number | undefined>): void {
  for (const [path, birth] of right) {
    const stands = world.host.files.get(path)?.birth;
    const isAside = world.moved.some(
      ({ back, made }) => made?.birth === birth && birth === world.host.files.get(back ?? '')?.birth,
    );
    if (stands !== birth && isAside) world.putTheirsBack(path);
  }
}
