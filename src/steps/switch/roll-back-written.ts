/**
 * The undo of a switch by `reopen` where a third party resumed the guest on the new images: what it wrote there is nowhere else, and
 * is copied back, or keeps a revert from being undone.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Graph } from '../../guest/graph.ts';
import { holdGuest, resumeVcpus, wasPausedByUs } from '../../guest/hold-guest.ts';
import { setDrive } from '../../guest/set-drive.ts';
import { hasFilter } from '../../plan/filters.ts';
import type { DiskPlan, RevertPlan, StagePlan, SwitchPlan } from '../../plan/plan.ts';
import type { Command, Reply } from '../../qmp/client.ts';
import type { StatusInfo } from '../../qmp/schema.generated.ts';
import { undoPivots } from '../mirror/undo-pivots.ts';
import { holdTheSame } from '../pause/mark-settling.ts';
import { valueForDisks } from '../step/blame.ts';
import { holdFor } from '../step/hold-for.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';
import { ranBefore } from './both-sides.ts';
import { deleteFilters } from './where-filters-lead.ts';

const RETURN_TRIES = 3;

/** Rolls back from images that the guest has written to: copies that back first; where it cannot, of a revert, throws OVERTAKEN. */
export async function rollBackWritten(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  graph: Graph,
  ran: boolean,
): Promise<void> {
  if (!areCopies(context.plan)) {
    if (switched.length === 0) return;
    return stayWithWritten(context);
  }
  if (switched.length > 0) {
    if (ran) await context.recordRun();
    await takeOutFilters(context, switched, graph, ran);
  }
  await undoPivots(context);
}

type Staying = Pick<StepContext, 'outcomes' | 'recordRun' | 'recordSides'>;

/** Of a revert: throws OVERTAKEN, with it written down where the disks are. */
export async function stayWithWritten({ outcomes, recordRun, recordSides }: Staying): Promise<never> {
  await recordSides();
  if (wasPausedByUs(outcomes.get('pauseGuest') ?? null)) await recordRun();
  throw new BlocksagaError(
    'OVERTAKEN',
    'a third party has resumed the guest on the older images: what it wrote is on the overlays above them, and they stay in front',
  );
}

/** Whether the new images may hold what the old ones lack: also where a third party has switched a disk before the pause. */
export async function mayHaveRunOnImages(
  context: StepContext<SwitchPlan | RevertPlan>,
  running: boolean,
): Promise<boolean> {
  if (ranBefore(context)) return false;
  if (running || !context.pausedThroughout()) return true;
  return areCopies(context.plan) && !(await holdTheSame(context));
}

/** Whether the guest has run on its new images up to this look, or is known to have: a look may be refused. */
export function ranOnImages(
  context: StepContext<SwitchPlan | RevertPlan>,
  status: Reply<StatusInfo> | undefined,
): boolean {
  if (status === undefined || ranBefore(context)) return false;
  return (status.ok && status.value.running) || !context.pausedThroughout();
}

/** Where all disks are that were to go to one side, by the answer of QEMU. */
export function sideAfter(
  { sideIs }: Pick<StepContext, 'sideIs'>,
  moved: Reply<unknown>,
  to: 'old' | 'new',
): void {
  const from = to === 'old' ? 'new' : 'old';
  sideIs(moved.ok ? to : moved.error.effect === 'unknown' ? 'unknown' : from);
}

/** At once, and again when it is refused: another attempt of the undo could not tell any more where the guest has written. */
export async function returnToImages(
  context: Pick<StepContext, 'qmp' | 'outcomes' | 'heldAgain' | 'sideGoesTo' | 'sideIs'>,
  disks: readonly DiskPlan[],
  again: Command<'blockdev-reopen'>,
): Promise<void> {
  for (let triesLeft = RETURN_TRIES; triesLeft > 0; triesLeft -= 1) {
    const { replies } = await holdFor(context, [], [again], () => context.sideGoesTo('new'));
    const [reopened] = replies;
    sideAfter(context, reopened, 'new');
    if (reopened.ok) return;
    if (triesLeft === 1) valueForDisks(disks, reopened);
  }
}

/** Whether the two images of a disk are equal at the switch, as a copy's are; a revert's never are. */
function areCopies({ operation }: StagePlan): boolean {
  return operation !== 'revert';
}

/**
 * Puts disks right onto their new images. A guest that runs is held for that: a filter above a disk in an iothread would kill QEMU.
 * Outside of the saga's pause no later undo resumes it; a disk that a third party has switched there is on no filter of the saga's.
 */
async function takeOutFilters(
  context: StepContext<SwitchPlan>,
  disks: readonly DiskPlan[],
  graph: Graph,
  ran: boolean,
): Promise<void> {
  const { qmp, outcomes } = context;
  if (!disks.some(disk => !hasFilter(disk) && graph.node(disk.names.filter) !== undefined)) return;
  const paused = ran ? (await holdGuest(qmp, [])).paused : undefined;
  try {
    const onFilter = disks.filter(disk => graph.front(disk) === disk.names.filter);
    throwFirst(onFilter, await qmp.pipeline(onFilter.map(disk => setDrive(disk, disk.goal))));
    await deleteFilters(qmp, disks, graph);
  } finally {
    const isInPause = wasPausedByUs(outcomes.get('pauseGuest') ?? null);
    if (paused?.byUs && !isInPause) await resumeVcpus(context, paused);
  }
}
