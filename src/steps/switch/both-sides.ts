/**
 * A guest that third parties had run on its old images behind the end of their mirrors, and on the new ones behind the switch: it wrote to
 * both, and has read the new ones without what is on the old ones alone. No copy of either over the other is right, so that all stays:
 * nothing is put back, copied or removed from then on, by whomever.
 */
import { BlocksagaError } from '../../errors.ts';
import type { DiskPlan, RevertPlan, SwitchPlan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';
import { writtenSince } from '../pause/mark-settling.ts';
import { failedForRun } from '../step/expect-paused.ts';
import { inAnyCase } from '../step/in-any-case.ts';
import type { StepContext } from '../step/step.ts';

type Context = Pick<
  StepContext<SwitchPlan | RevertPlan>,
  | 'plan'
  | 'qmp'
  | 'observed'
  | 'failure'
  | 'ranBeforeSwitch'
  | 'ranBehindSwitch'
  | 'ranOnBoth'
  | 'recordRanOnBoth'
>;

/** Whether it ran on its old images before the switch, which has failed for that. */
export function ranBefore({
  failure,
  ranBeforeSwitch,
}: Pick<Context, 'failure' | 'ranBeforeSwitch'>): boolean {
  return failedForRun(failure) || ranBeforeSwitch();
}

/** What the undo of a switch looks at in front of all, for a later process: how much the guest had written, and whether it had run there. */
export async function observeRun(context: Context): Promise<Json> {
  const behind = context.ranBehindSwitch();
  if (!ranBefore(context)) return { behind, writes: null };
  return { behind, writes: (await writtenSince(context)).writes ?? null };
}

/** Of disks that are on their new images, or were until now; `runs`: the guest was seen running there. */
export async function ranOnBothSides(context: Context, runs: boolean): Promise<boolean> {
  if (!ranBefore(context)) return false;
  const behind = context.ranBehindSwitch();
  if (runs || behind !== 'maybe') return runs || behind === 'yes';
  // It ran while nothing looked: if not since an earlier process began this undo, that was in front of the switch.
  const seen = seenBy(context.observed);
  const { writes } = await writtenSince(context);
  return seen.behind !== 'no' || seen.writes !== writes;
}

/** Undefined where nothing tells. */
function seenBy(observed: Json): { readonly behind?: Json; readonly writes?: Json } {
  if (typeof observed !== 'object' || observed === null || !('writes' in observed)) return {};
  return typeof observed.writes === 'number' ? observed : {};
}

/** Throws BOTH_SIDES where the guest has run on both, which is durable then, or is known to have. */
export async function expectOneSide(
  context: Context,
  switched: readonly DiskPlan[],
  runs: boolean,
): Promise<void> {
  const { plan, ranOnBoth, recordRanOnBoth } = context;
  if (ranOnBoth.size === 0) {
    if (switched.length === 0 || !(await ranOnBothSides(context, runs))) return;
    await inAnyCase(recordRanOnBoth(switched), async () => {
      throw bothSides(switched);
    });
  }
  throw bothSides(plan.disks.filter(({ index }) => ranOnBoth.has(index)));
}

function bothSides(disks: readonly DiskPlan[]): BlocksagaError {
  const told = disks.map(
    ({ disk, file, image }) =>
      `disk ${disk}: what it wrote first is on ${file}, what it wrote then on ${image.file}`,
  );
  return new BlocksagaError(
    'BOTH_SIDES',
    'third parties have resumed the guest on its old images behind the end of their mirrors, stopped it, and resumed it again on the new ' +
      `ones: neither hold all that it wrote. ${told.join('; ')}. Both are kept, and the guest goes on where it is. Shut it down when it suits, ` +
      'and say which to boot from ("blocksaga resume --offline", with --front new or --front old); then copy what it needs of the other by hand',
    { images: disks.flatMap(({ file, image }) => [file, image.file]) },
  );
}
