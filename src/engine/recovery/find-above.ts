/**
 * Overlays of third parties that stand above images of a dead saga: what the guest wrote on one is in no image that the journal knows.
 * They are looked for by their headers in the directories of the saga's images. Whether a guest ran on one cannot be told from files (a
 * backup's scratch image is such an overlay too), so it is asked. It only reads.
 */
import { dirname } from 'node:path';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { plainName } from '../../guest/graph.ts';
import { isSameFile } from '../../images/file-identity.ts';
import type { Files } from '../../images/files.ts';
import type { Images, OverlaysSeen } from '../../images/images.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import { stagesOf } from '../../steps/stages.ts';

/** For clocks of a file server and of this machine. */
const SLACK_MS = 2_000;

/** One that stands above an image of a disk's, itself or on others that do. */
export interface OverlayAbove {
  readonly index: number;
  readonly disk: string;
  readonly file: string;
  readonly driver: string;
  readonly hasDataFile: boolean;
  /** The name by which the saga knew that file, where it is an image of the saga's own. */
  readonly knownAs?: string;
  /** The name of an image of the disk's that stood where it stands, and whose file the saga has not seen: nothing stands under that. */
  readonly mayBe?: string;
  readonly over: { readonly file: string; readonly driver: string };
}

/** What was found, and the directories that were not looked at as a whole, with the reasons. */
export interface FoundAbove {
  readonly overlays: readonly OverlayAbove[];
  readonly unseen: readonly string[];
}

/** What an offline recovery keeps of them. */
export interface SettledAbove extends Pick<FoundAbove, 'unseen'> {
  /** On these the guest ran last. */
  readonly ranOn: readonly OverlayAbove[];
  /** The others, and what is left to do about them, in words. */
  readonly told: readonly string[];
}

/** What an administrator has said: on which overlays the guest ran last, and on which it did not. */
export interface SaidAbove {
  readonly ranOn?: readonly string[];
  readonly notOn?: readonly string[];
}

/** What is asked: of which saga, and what was said. */
interface Asked {
  readonly id: string;
  readonly plan: Plan;
  /** An overlay that was not written to since holds nothing that the saga's guest wrote. */
  readonly begunMs: number;
  readonly said: SaidAbove;
  /** By their names, the identities of the files that it has found or made. */
  readonly known: ReadonlyMap<string, string>;
}

/** Looks for them. Throws REQUEST_INVALID for a file that is named and is none, or where a disk would have two. */
export async function findAbove(
  { id, plan, begunMs, said, known }: Asked,
  images: Images,
  files: Pick<Files, 'stat'>,
): Promise<FoundAbove> {
  const named = [...(said.ranOn ?? []), ...(said.notOn ?? [])];
  const sides = stagesOf(plan).flatMap(stage => stage.plan.disks.flatMap(sidesOf));
  const sinceMs = begunMs - SLACK_MS;
  const found: OverlaysSeen['overlays'][number][] = [];
  const unseen: string[] = [];
  const directories = new Set(
    [...sides.map(({ over }) => over.file), ...named].filter(isPath).map(directoryOf),
  );
  for (const directory of directories) {
    const hasNamed = named.some(file => directoryOf(file) === directory);
    const seen = await images.overlaysIn?.(directory, hasNamed ? 0 : sinceMs);
    if (seen === undefined) continue;
    if (seen.unseen !== null) unseen.push(`${directory} (${seen.unseen})`);
    found.push(...seen.overlays.filter(each => each.writtenAtMs >= sinceMs || named.includes(each.file)));
  }
  const standing = await standingOn(sides, await withoutKnown(plan, found, files), files);
  const overlays: OverlayAbove[] = [];
  for (const each of standing) {
    const identity = (await files.stat(each.file))?.identity;
    const [knownAs] = [...known].find(([, one]) => identity !== undefined && isSameFile(one, identity)) ?? [];
    const mayBe = knownAs === undefined ? await nameWithout(plan, each, known, files) : undefined;
    overlays.push({ ...each, ...definedOnly({ knownAs, mayBe }) });
  }
  expectFound(id, named, said, overlays);
  return { overlays, unseen };
}

/** The name of an image of the plan's that stood above the same one, whose file is not known, and under which nothing stands. */
async function nameWithout(
  plan: Plan,
  { index, over }: OverlayAbove,
  known: Asked['known'],
  files: Pick<Files, 'stat'>,
): Promise<string | undefined> {
  for (const { plan: stage } of stagesOf(plan)) {
    const disk = stage.disks.find(each => each.index === index);
    for (const chain of disk === undefined ? [] : [disk.chain, chainOfImage(disk)]) {
      const above = chain[chain.findIndex(({ file }) => file === over.file) - 1];
      if (above === undefined || above.unnameable !== undefined) continue;
      const file = plainName(above.file);
      if (!file.startsWith('/') || known.has(file)) continue; // an address is no name that a file may have lost
      if ((await files.stat(file)) === undefined) return file;
    }
  }
  return undefined;
}

type Side = Pick<OverlayAbove, 'index' | 'disk' | 'over'>;

function sidesOf({ index, disk, file, driver, image }: DiskPlan): readonly Side[] {
  return [
    { file, driver },
    { file: image.file, driver: image.driver },
  ].map(over => ({ index, disk, over }));
}

function isPath(file: string): boolean {
  return file.startsWith('/');
}

function directoryOf(file: string): string {
  return dirname(file);
}

/** Those that are no image of the plan's. */
async function withoutKnown(
  plan: Plan,
  found: OverlaysSeen['overlays'],
  files: Pick<Files, 'stat'>,
): Promise<OverlaysSeen['overlays']> {
  const known = new Set<string>();
  for (const { file, chain, image } of stagesOf(plan).flatMap(stage => stage.plan.disks)) {
    const below = [...chain, ...(image.backing === null ? [] : [image.backing]), ...image.below];
    for (const name of [file, image.file, ...below.map(each => each.file)]) known.add(name);
  }
  for (const name of [...known].filter(isPath)) known.add((await files.stat(name))?.identity ?? name);
  const others: OverlaysSeen['overlays'][number][] = [];
  for (const each of found) {
    if (!known.has(each.file) && !known.has((await files.stat(each.file))?.identity ?? each.file))
      others.push(each);
  }
  return others;
}

/** Those that stand on one of the sides, or on one that does, whatever the names by which headers call these. */
async function standingOn(
  sides: readonly Side[],
  found: OverlaysSeen['overlays'],
  files: Pick<Files, 'stat'>,
): Promise<readonly OverlayAbove[]> {
  const keysOf = async (file: string) => [file, (await files.stat(file))?.identity ?? file];
  const under = new Map<string, Side>();
  for (const side of sides) for (const key of await keysOf(side.over.file)) under.set(key, side);
  const standing: OverlayAbove[] = [];
  for (let rest = found; ; ) {
    const others: OverlaysSeen['overlays'][number][] = [];
    for (const each of rest) {
      const keys = (await Promise.all(each.backing.map(keysOf))).flat();
      const side = keys.map(key => under.get(key)).find(known => known !== undefined);
      if (side === undefined) {
        others.push(each);
        continue;
      }
      const { file, driver, hasDataFile } = each;
      standing.push({ ...side, file, driver, hasDataFile });
      for (const key of await keysOf(file)) under.set(key, side);
    }
    if (others.length === rest.length) return standing;
    rest = others;
  }
}

function expectFound(
  saga: string,
  named: readonly string[],
  { ranOn = [], notOn = [] }: SaidAbove,
  overlays: readonly OverlayAbove[],
): void {
  const unknown = named.find(name => !overlays.some(({ file }) => file === name));
  const both = ranOn.find(name => notOn.includes(name));
  const on = overlays.filter(({ file }) => ranOn.includes(file));
  const second = on.find((one, at) => on.findIndex(({ index }) => index === one.index) !== at);
  const why =
    unknown !== undefined
      ? `${unknown} is no qcow2 overlay above an image of saga ${saga}: name one that is, by its whole path`
      : both !== undefined
        ? `the guest ran on ${both} last, or it did not: say one of the two`
        : second !== undefined
          ? `disk ${second.disk} was on one image last: name one overlay of it`
          : undefined;
  if (why !== undefined) throw new BlocksagaError('REQUEST_INVALID', why, { saga });
}
