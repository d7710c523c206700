/**
 * Looks, in front of what QEMU does by a name and in front of a decision, whether the images that each disk is to stand on are
 * still found under their names: a boot goes by names, and a file may be renamed, removed or replaced at any time. It asks
 * /proc and the file system only, no QEMU.
 */
import { BlocksagaError } from '../../errors.ts';
import { type Graph, plainName } from '../../guest/graph.ts';
import type { ChainImage, DiskPlan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';
import type { StepContext } from '../step/step.ts';
import { namesOf, type WrongName, wrongNames } from './boot-names.ts';

/**
 * Whether QEMU has opened the new images already, or makes them in the step that follows: then /proc is asked only where an old name
 * led elsewhere when this was planned, which left no identity to compare.
 */
type When = 'opened' | 'claimed';

type Looked = Pick<StepContext, 'files' | 'plan' | 'outcomes'>;

/** Throws FOREIGN, naming the disk and what stands there instead. */
export async function expectNames(context: Looked, when: When): Promise<void> {
  const [wrong] = await findWrongNames(context, when);
  if (wrong !== undefined) throw leadsElsewhere(wrong);
}

/** All names that lead elsewhere; none where this process sees no files of QEMU's. */
export async function findWrongNames(
  { files, plan, outcomes }: Looked,
  when: When,
): Promise<readonly WrongName[]> {
  if (files === null) return [];
  const isAsked = when === 'opened' || Object.keys(plan.astray ?? {}).length > 0;
  const open = isAsked ? await files.openInQemu?.() : undefined;
  const claims = claimsIn(outcomes.get('claimFiles') ?? null);
  const names = plan.disks.flatMap(disk => namesOf(plan, disk, claims.get(disk.index), when === 'opened'));
  return wrongNames(files, names, open);
}

/**
 * The same in a rollback, of the images that disks are to return to: QEMU opens one anew by its name when it is to be written to
 * again, or was closed, and what the guest wrote would go into whatever stands there.
 */
export async function expectOldNames(
  { files, plan: { identities = {}, astray = {} } }: Pick<StepContext, 'files' | 'plan'>,
  disks: readonly DiskPlan[],
  imagesOf: (disk: DiskPlan) => readonly Pick<ChainImage, 'file'>[] = ({ file }) => [{ file }],
): Promise<void> {
  if (files === null) return;
  for (const disk of disks) {
    const file = imagesOf(disk)
      .map(image => plainName(image.file))
      .find(name => name in astray);
    if (file !== undefined) throw wasAstray(disk, file);
  }
  const old = disks.flatMap(disk =>
    imagesOf(disk).flatMap(image => {
      const file = plainName(image.file);
      const planned = identities[file];
      return planned === undefined
        ? []
        : [{ disk: disk.disk, file, planned, isOpen: false, mustStand: false }];
    }),
  );
  const [wrong] = await wrongNames(files, old, undefined);
  if (wrong === undefined) return;
  const instead =
    wrong.found === 'nothing' ? 'nothing' : `${wrong.found}, which QEMU would open and write to`;
  throw new BlocksagaError(
    'FOREIGN',
    `disk ${wrong.disk}: it is to return to ${wrong.file}, and under that name there is now ${instead}: put the right file back, then resume` +
      (wrong.found === 'nothing'
        ? ''
        : `; where what stands there is the one that QEMU has open all the same, shut the guest down and say so: ${ACCEPT}`),
    { disk: wrong.disk },
  );
}

/** Which file QEMU had open is not known: what has that name by now cannot be proved to be it. */
function wasAstray({ disk }: DiskPlan, file: string): BlocksagaError {
  return new BlocksagaError(
    'FOREIGN',
    `disk ${disk}: it is to return to ${file}, and that name led to another file than the one that QEMU had open when this saga was planned: ` +
      'what stands there now could not be proved to be the right one, so QEMU is not let open it. Shut the guest down, put the right file back, ' +
      `and say so: ${ACCEPT}`,
    { disk },
  );
}

const ACCEPT = '"blocksaga resume --offline ID --accept-image FILE"';

/** An image whose name does not lead to it. */
export function leadsElsewhere({ disk, file, found }: WrongName): BlocksagaError {
  return new BlocksagaError(
    'FOREIGN',
    `disk ${disk}: under the name ${file} there is now ${found}, so that the next boot would not find what the guest writes; put the right file back before it is tried again`,
    { disk },
  );
}

/** By the disk's index, what a `claimFiles` has come to. */
export function claimsIn(outcome: Json): ReadonlyMap<number, string> {
  const claims = Array.isArray(outcome) ? (outcome as readonly { index: number; identity: string }[]) : [];
  return new Map(claims.map(({ index, identity }) => [index, identity]));
}

/** The images of a disk's old chain that are to be opened anew: none while it is open. */
export function closedImages(graph: Graph): (disk: DiskPlan) => readonly ChainImage[] {
  return ({ node, names, chain }) =>
    [node, names.revived].some(name => graph.node(name) !== undefined) ? [] : chain;
}
