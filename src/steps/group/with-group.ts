/**
 * The steps in which a saga meets the other members of its group. None changes anything of the guest: what they come to
 * is whether all have come so far, and whether the group commits.
 */
import { BlocksagaError } from '../../errors.ts';
import { expectFronts } from '../../guest/graph.ts';
import { hasMirrors, type Plan } from '../../plan/plan.ts';
import { meetBesideMirrors } from '../mirror/meet-beside-mirrors.ts';
import { expectNames } from '../prepare/expect-names.ts';
import { type Barrier, barrierOf, groupIsBack } from '../step/barrier.ts';
import { expectPausedThroughout } from '../step/expect-paused.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';

/** The part of what is left of the permitted pause for which `go` is waited for; the rest is for an undo in the pause. */
const GO_SHARE = 0.5;

/**
 * In front of the pause: a guest is paused only when no other member can be waited for long. A member with mirrors is prepared when all
 * of them are READY, and its mirrors follow the guest for as long as the others copy.
 */
export const awaitMembers: Step = {
  name: 'awaitMembers',
  irreversible: 'it only waits',
  probe: absent,

  async do(context) {
    const { plan } = context;
    const meeting = barrierOf(context).prepared();
    if (hasMirrors(plan)) await meetBesideMirrors({ ...context, plan }, meeting);
    else await unlessAborted(context, meeting);
    return null;
  },
};

/** Resolves when the saga is asked to roll back too: it does so behind this step. */
async function unlessAborted({ signals: { abort } }: StepContext, meeting: Promise<void>): Promise<void> {
  const aborted = new Promise<void>(resolve => {
    if (abort.aborted) resolve();
    else abort.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([meeting, aborted]);
  if (abort.reason instanceof BlocksagaError) throw abort.reason;
}

/**
 * Votes, in the pause, and waits for `go`; where that does not come, the guest has still time to go back to its old images
 * before it is resumed. Whether it was paused up to here QEMU is asked by the look that the resume needs.
 */
export const awaitGo: Step = {
  name: 'awaitGo',
  irreversible: 'it only waits',
  probe: absent,

  async do(context) {
    expectPausedThroughout(context);
    await barrierOf(context).taken(context.pauseLeftMs() * GO_SHARE);
    expectPausedThroughout(context);
    return null;
  },
};

/**
 * Answers that the guest was still paused when `go` came, and waits for the group's decision. Its intent is durable before
 * the answer: a member without that intent is in no group that was committed. Right in front of the answer, when no guest is paused
 * any more, it is looked whether what the group is to commit stands.
 */
export const decideWithGroup: Step = {
  name: 'decideWithGroup',
  decision: 'afterwards',
  rollsBack: 'never',
  irreversible: 'the decision is the group’s',
  probe: absent,

  async do(context) {
    // In a later process the saga's own word is as good as the group's.
    if (context.decided) return null;
    const barrier = barrierOf(context);
    // In a later process it may have answered before, and the group may have committed.
    if (context.nothingSentYet) await expectStanding(context).catch(error => leaveFor(error, barrier));
    await barrier.confirmed();
    return null;
  },
};

/**
 * Names lead to the new images. The disks of a snapshot are on them: a transaction puts overlays on nodes, and a third party can put a
 * device off its node at any time. The copies of a clone are closed, whatever the guest does by now.
 */
async function expectStanding(context: StepContext): Promise<void> {
  const { qmp, plan } = context;
  if (!hasMirrors(plan)) expectFronts(await qmp.execute('query-block'), plan.disks, disk => disk.goal);
  await expectNames(context, 'claimed');
}

/** Throws GROUP: the others are rolled back too. */
function leaveFor(error: unknown, barrier: Barrier): never {
  if (!(error instanceof BlocksagaError)) throw error;
  barrier.leave(error.message);
  throw groupIsBack(error.message);
}

async function absent({ plan }: { readonly plan: Plan }) {
  return probeDisks(plan.disks, () => 'absent');
}
