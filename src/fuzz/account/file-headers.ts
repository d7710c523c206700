/** What the headers of the simulated host's files say, and what is read by them. Asks no QEMU, and judges nothing. */
import { fileBelowIn } from '../../images/backing-name.ts';
import type { Sim } from '../../sim/create-sim.ts';
import type { Extents } from '../../sim/host/contents.ts';
import { whereabouts } from '../../sim/host/foreign-files.ts';
import type { Image } from '../../sim/host/host.ts';
import { isTheirOverlay, isTheirs } from '../scenario/wish-files.ts';

const DEPTH_MAX = 64;

/** The file that a header names as the one below, by whatever it says. */
export function namedBelow(image: Image | undefined): string | undefined {
  return image?.backing === undefined ? undefined : fileBelowIn(image.backing);
}

/** The files of a chain as the headers say it, front first, without those of third parties. */
export function headersFrom({ files }: Sim['world']['host'], front: string): readonly string[] {
  const found: string[] = [];
  for (let next: string | undefined = front; next !== undefined && found.length < DEPTH_MAX; ) {
    found.push(next);
    next = namedBelow(files.get(next)?.written);
  }
  return found.filter(file => !isTheirs(file));
}

/**
 * What each file is read as once all have their first names again, of those that have one: of two that were taken from the same name the first,
 * or the last, which QEMU may have made there.
 */
export function putBackIn(world: Sim['world'], which: 'first' | 'last'): ReadonlyMap<string, Extents> {
  const names = new Set([...world.host.files.keys(), ...world.moved.map(({ path }) => path)]);
  const moved = which === 'first' ? world.moved : world.moved.toReversed();
  const placeOf = (name: string) => whereabouts(moved, name);
  return new Map([...names].map(name => [name, world.readFile(name, placeOf)]));
}

/** Third parties' overlays, with the image that the header of each names. */
export function overlaysIn({ host, moved }: Sim['world']): ReadonlyMap<string, string> {
  const names = [...host.files.keys(), ...moved.map(({ path }) => path)].filter(isTheirOverlay);
  return new Map(
    names.flatMap(name => {
      const below = namedBelow(host.image(whereabouts(moved, name)));
      return below === undefined ? [] : [[name, below] as const];
    }),
  );
}
