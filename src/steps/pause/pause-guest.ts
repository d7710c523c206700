/**
 * Stops the guest for the switch, and resumes it. A guest that its administrator had paused, or that does not run for a
 * reason of its own, is neither stopped nor started; one in S3 returns to S3. An administrator's `stop` inside the
 * pause cannot be seen: QEMU keeps no count of them, and the guest is resumed.
 */
import { BlocksagaError } from '../../errors.ts';
import { readGraph } from '../../guest/graph.ts';
import { WRITES, writesIn } from '../../guest/guest-writes.ts';
import {
  holdGuest,
  lastSeen,
  lookFreshly,
  migratedIn,
  type Paused,
  pausedIn,
  readPause,
  resumeVcpus,
  wasPausedByUs,
} from '../../guest/hold-guest.ts';
import { isTaking, takingMark, unmarkTaking } from '../../guest/mark-taking.ts';
import { expectNotMigrating, isLive, lookAtGuest } from '../../guest/migration.ts';
import { expectPlugged, expectPluggedIn } from '../../guest/unplugged.ts';
import { canUndoSnapshots } from '../../plan/can-undo-snapshots.ts';
import type { Plan, SnapshotPlan } from '../../plan/plan.ts';
import type { Command, QmpClient, Reply } from '../../qmp/client.ts';
import type { JobInfo } from '../../qmp/jobs.ts';
import type { BlockInfo } from '../../qmp/schema.generated.ts';
import type { Json } from '../../qmp/transport.ts';
import { expectNames } from '../prepare/expect-names.ts';
import { resumedByThirdParty } from '../step/expect-paused.ts';
import { FRONT_LOOK, isClean } from '../step/mirror-lag.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { markOf } from './mark-qemu.ts';
import { isMarkedSettling, retractSettling, settlingMark } from './mark-settling.ts';
import { expectNotTaken, meetInFront, type PausedWithGroup, takeWithStop } from './pause-with-group.ts';

const BLOCKS = { execute: 'query-block' } as const;
const JOBS = { execute: 'query-jobs' } as const;

/** What `pauseGuest` came to, with whether every mirror was ready, with nothing left to copy, right behind `stop`. */
type PausedForSwitch = Paused & { readonly clean: boolean };

export const pauseGuest: Step = {
  name: 'pauseGuest',
  pause: 'begins',
  foretells: isTakenInGroup,

  /** Right in front of the pause: a migration that has begun since this was planned ends the saga before the guest notices. */
  async observe(context) {
    const { qmp, plan } = context;
    const isMadeInPause = plan.operation === 'snapshot' && plan.method !== 'transaction';
    await expectNames(context, isMadeInPause ? 'claimed' : 'opened');
    await expectPlugged(context);
    const sight = await lookAtGuest(qmp);
    expectNotMigrating(sight);
    return pausedIn(sight);
  },

  async probe(context) {
    const { qmp, plan, observed } = context;
    const sight = await lookAtGuest(qmp);
    const isToBePaused = isLive(sight) && wasPausedByUs(observed);
    return probeDisks(plan.disks, () => (isToBePaused || isUnsent(context) ? 'absent' : 'present'));
  },

  async do(context): Promise<PausedForSwitch | PausedWithGroup> {
    const { qmp, plan, observed, outcomes, nothingSentYet } = context;
    if (plan.operation === 'revert') await expectStopped(qmp);
    const meets = isInGroup(plan) && (nothingSentYet || isUnsent(context));
    const inFront = meets ? await meetInFront(context, marksOf(plan)) : undefined;
    if (inFront !== undefined && isTakenInGroup(plan)) return takeWithStop({ ...context, plan }, inFront);
    const marks = meets ? [] : marksOf(plan);
    if (!wasPausedByUs(observed)) {
      const looks = writesLook(plan);
      if (marks.length + looks.length > 0)
        noteWrites(context, (await qmp.pipeline([...marks, ...looks])).at(-1));
      return { ...readPause(observed), clean: false };
    }
    if (nothingSentYet && endsAtOnce(outcomes.get('awaitConvergence') ?? null)) {
      return { ...(await stopAndEndMirrors(context, marks)), clean: false };
    }
    // The mirrors are looked at in the same write: with nothing left to copy the switch can follow at once. Behind the `stop` only
    // what has to be seen there: a mirror that was ready in front of it is so still for as long as its bitmap is there.
    const [jobs, blocks] = frontsTell(outcomes.get('awaitConvergence') ?? null) ? FRONT_LOOK : [];
    const behind = [...(blocks === undefined ? [] : [blocks]), ...writesLook(plan)];
    const { paused, migrating, ahead, replies } = await holdGuest(qmp, behind, {
      ahead: jobs === undefined ? marks : [...marks, jobs],
    });
    noteWrites(context, replies.at(-1));
    // Whose pause it is has been seen only now: an undo resumes no guest that a third party has paused since it was observed.
    context.heldAgain(paused);
    if (migrating !== undefined) throw migrating;
    // A mark that is there already is refused too.
    if (isMarkedBefore(plan) && ahead[marks.length - 1]?.ok === false) await markUnlessTaken(qmp, plan);
    if (isTakenInGroup(plan)) {
      await expectNotTaken({ ...context, plan });
      return { ...paused, taken: null };
    }
    const fronts = blocks === undefined ? undefined : (replies[0] as Reply<readonly BlockInfo[]> | undefined);
    if (fronts?.ok) expectPluggedIn(fronts.value, plan.disks);
    const ofJobs = ahead[marks.length] as Reply<readonly JobInfo[]> | undefined;
    const clean = ofJobs !== undefined && fronts !== undefined && isClean(plan.disks, ofJobs, fronts);
    return { ...paused, clean };
  },

  /** A process may have died before its mark, where its guest was paused already. */
  async adopt({ qmp, plan, observed }) {
    if (isMarkedBefore(plan)) await markUnlessTaken(qmp, plan);
    return observed;
  },

  async undo(context, outcome) {
    const { qmp, clock, plan, observed, outcomes, failure } = context;
    const paused = readPause(outcome ?? observed);
    // Where the mirrors were ended with the pause, and that was not undone: no step was begun that would take its mark away.
    const isMarkLeft =
      endsAtOnce(outcomes.get('awaitConvergence') ?? null) && !outcomes.has('undo.endMirrorsInPlace');
    if (isMarkLeft) await retractSettling({ qmp, plan });
    // While its group is waited for nothing has been sent that pauses it: who has paused it since is another one.
    const isUnpaused = isUnsent(context) || failure?.code === 'GROUP';
    if (paused.byUs && !isUnpaused) await resumeVcpus({ qmp, clock }, paused);
    if (isMarkedBefore(plan)) await unmarkTaking(qmp, plan);
  },
};

export const resumeGuest: Step = {
  name: 'resumeGuest',
  withoutDevices: true,
  pause: 'ends',
  irreversible: 'the guest may have written by now',

  async probe({ qmp, plan, outcomes }) {
    const sight = await lookAtGuest(qmp);
    const isHeld = !isLive(sight) && heldIn(outcomes).byUs;
    return probeDisks(plan.disks, () => (isHeld ? 'absent' : 'present'));
  },

  /**
   * A migration that has begun in the pause leads to a QEMU that has the old images: until the guest runs here, the
   * switch can still be rolled back. Where an earlier attempt may have resumed it already, only its administrator can
   * decide.
   */
  async do(context) {
    const { qmp, clock, outcomes, plan, nothingSentYet, pausedThroughout } = context;
    const paused = heldIn(outcomes);
    const seen = await lookFreshly({ qmp, clock }, nothingSentYet ? lastSeen(outcomes) : undefined);
    const migrating = migratedIn(seen.sight, paused);
    // A guest that a third party has resumed on its reverted images stays on them, wherever it goes from here.
    const isAtItsEnd = seen.sight.running && outcomes.has('commitRevert');
    if (migrating !== undefined && !isAtItsEnd) {
      const leadsBack = plan.operation !== 'snapshot' || canUndoSnapshots(plan);
      const effect = nothingSentYet && pausedThroughout() && leadsBack ? 'notApplied' : 'unknown';
      throw BlocksagaError.fromRecord({ ...migrating.toJSON(), effect });
    }
    // For a member of a group this is the look whether its guest was paused until `go`: else the group does not commit.
    if (seen.sight.running && nothingSentYet) context.barrier?.leave(resumedByThirdParty().message);
    if (!seen.sight.running) context.barrier?.sawPaused();
    if (paused.byUs) await resumeVcpus({ qmp, clock }, paused, seen);
    if (isInGroup(plan)) {
      context.pauseIsOver();
      await context.barrier?.resumed();
    }
    return null;
  },

  /** A guest that this saga has not paused may be paused all the same. */
  async adopt({ qmp, plan, barrier }) {
    if (isInGroup(plan) && !(await qmp.execute('query-status')).running) barrier?.sawPaused();
    return null;
  },
};

/** Whether this is a member of a group of which nothing was sent yet that pauses its guest. */
function isUnsent({ plan, barrier }: Pick<StepContext, 'plan' | 'barrier'>): boolean {
  return isInGroup(plan) && barrier?.hasLooked() === false;
}

function isInGroup({ group }: Plan): boolean {
  return group !== undefined;
}

/** It takes its snapshots in the pause of its group. */
function isTakenInGroup(plan: Plan): plan is SnapshotPlan {
  return plan.operation === 'snapshot' && isInGroup(plan);
}

/**
 * By what a next process knows this QEMU if this one dies in the pause: the saga's mark, put there once more where a third party
 * has taken it away, as in a rollback nothing else may be left. Of snapshots that are taken one by one nothing is there in front
 * of the first, and without a mark the first would look like the end of its saga; of a group each command in the pause is one too many.
 */
function marksOf(plan: Plan): readonly Command[] {
  if (!plan.marksQemu) return [];
  const taking = isMarkedBefore(plan) ? takingMark(plan) : null;
  return taking === null ? [markOf(plan)] : [markOf(plan), taking];
}

/** What is in front without the mark is a third party's, and stays known as that. */
async function markUnlessTaken(qmp: QmpClient, plan: Plan): Promise<void> {
  if (!plan.marksQemu || (await isTaking(qmp, plan))) return;
  const graph = await readGraph(qmp);
  if (!plan.disks.some(disk => graph.showsImage(disk))) await qmp.pipeline(marksOf(plan));
}

/** Whether the mark of the snapshot is put in front of the pause. */
function isMarkedBefore(plan: Plan): boolean {
  return plan.operation === 'snapshot' && (plan.method === 'sequential' || isInGroup(plan));
}

/** The pause of the switch, or that in which the rest of a commit was merged. */
function heldIn(outcomes: StepContext['outcomes']): Paused {
  const merged = readPause(outcomes.get('commitRemainingDisks') ?? null);
  return merged.byUs ? merged : readPause(outcomes.get('pauseGuest') ?? null);
}

/** Whether the guest is to run when all is back, also if this process dies while it is paused; nothing is where there is none. */
export async function observeRunning({ qmp, plan }: StepContext): Promise<Json> {
  const paused = pausedIn(await lookAtGuest(qmp));
  return plan.withoutGuest ? { ...paused, byUs: false } : paused;
}

/** A revert never stops a guest that runs: what it holds in memory does not fit the older disks. */
async function expectStopped(qmp: QmpClient): Promise<void> {
  const { running } = await qmp.execute('query-status');
  if (!running) return;
  throw new BlocksagaError(
    'GUEST_RUNS',
    'a third party has resumed the guest since this was planned: stop it, then revert',
  );
}

/**
 * The mirrors are ended as soon as they are seen to follow a guest that is paused, while the saga goes on to the step that judges how:
 * a soft cancel lets each copy the little that is left. Not before that look: a third party may have ended one while the guest wrote,
 * and the mark that goes out with the cancels says that none has. Where one does not follow any more nothing is sent here.
 */
async function stopAndEndMirrors(context: StepContext, marks: readonly Command[]): Promise<Paused> {
  const { qmp, jobs, plan } = context;
  const { paused, migrating, ahead, replies } = await holdGuest(qmp, [JOBS, WRITES], {
    ahead: [...marks, BLOCKS],
  });
  context.heldAgain(paused);
  if (migrating !== undefined) throw migrating;
  const inFront = ahead[marks.length] as Reply<readonly BlockInfo[]> | undefined;
  if (inFront?.ok) expectPluggedIn(inFront.value, plan.disks);
  const [seen, writes] = replies;
  noteWrites(context, writes);
  const ids = plan.disks.map(disk => disk.names.job);
  const follows = (id: string) => seen.ok && seen.value.some(job => job.id === id && job.status === 'ready');
  if (context.pausedThroughout() && ids.every(follows))
    context.endsMirrors(jobs.actAndLook('keepTarget', ids, settlingMark(context)));
  return paused;
}

/** What the guest has written by now is looked at where the mark of the end of the mirrors is to tell it. */
function writesLook(plan: Plan): readonly (typeof WRITES)[] {
  const ends = plan.operation === 'copy' || plan.operation === 'commit';
  return ends && isMarkedSettling(plan) ? [WRITES] : [];
}

/** The last reply of a pause whose look that was. */
function noteWrites({ plan, sawWrites }: StepContext, reply: Reply<unknown> | undefined): void {
  const writes = writesLook(plan).length > 0 ? writesIn(reply as Reply<string>) : undefined;
  if (writes !== undefined) sawWrites(writes);
}

/** What `awaitConvergence` came to: whether the front nodes say how far the mirrors are behind. */
function frontsTell(record: Json): boolean {
  return (
    typeof record === 'object' && record !== null && 'isOnSources' in record && record.isOnSources === true
  );
}

/** What it came to as well: whether the mirrors may be ended right behind the `stop`. */
function endsAtOnce(record: Json): boolean {
  return (
    typeof record === 'object' && record !== null && 'endsAtOnce' in record && record.endsAtOnce === true
  );
}

/** Whether the look behind `stop` found nothing left to copy: then the next step need not ask again. */
export function wasClean(record: Json): boolean {
  return typeof record === 'object' && record !== null && 'clean' in record && record.clean === true;
}
