/**
 * Puts the overlays on all disks in one QMP `transaction`: QEMU does all or none and drains the guest's I/O meanwhile,
 * so the images below are one instant. Whether it happened is asked of QEMU, so the intent is the decision.
 */
import { BlocksagaError } from '../../errors.ts';
import { expectFronts, frontOf, readGraph } from '../../guest/graph.ts';
import { isTaking, takingMark, unmarkTaking } from '../../guest/mark-taking.ts';
import { expectNotMigrating, lookAtGuest, SIGHT, sightOf } from '../../guest/migration.ts';
import { canUndoSnapshots } from '../../plan/can-undo-snapshots.ts';
import type { DiskPlan, SnapshotPlan } from '../../plan/plan.ts';
import type { Reply } from '../../qmp/client.ts';
import type { Replies } from '../../qmp/commands.ts';
import type { BlockInfo } from '../../qmp/schema.generated.ts';
import type { Json } from '../../qmp/transport.ts';
import { observeRunning } from '../pause/pause-guest.ts';
import { expectTaken, takenIn, takingWith } from '../pause/pause-with-group.ts';
import { snapshotSync, transactionOf } from '../pause/snapshot-actions.ts';
import { expectHeaders } from '../prepare/expect-headers.ts';
import { expectNames } from '../prepare/expect-names.ts';
import { valueForDisks } from '../step/blame.ts';
import { expectPausedInQemu, expectPausedThroughout, resumedByThirdParty } from '../step/expect-paused.ts';
import { askAgain } from '../step/replies.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { undoSnapshots } from './undo-snapshots.ts';

/** Over overlays that are open already: the transaction only moves pointers. */
export const takeSnapshot: Step<SnapshotPlan> = {
  name: 'takeSnapshot',
  decision: 'before',
  pause: 'stalls',
  observe: context => findNames(context, 'opened'),
  probe: probeOverlays,

  async do(context) {
    await transact(context, 'opened');
    return null;
  },

  verify: verifyOverlays,
  observeUndo: observeRunning,
  undo: undoMarked,
};

/** Where overlays cannot be opened beforehand: QEMU makes the files inside the transaction. */
export const takeSnapshotSync: Step<SnapshotPlan> = {
  name: 'takeSnapshotSync',
  decision: 'before',
  pause: 'stalls',
  async observe(context) {
    await expectHeaders(context, context.plan.disks);
    return findNames(context, 'claimed');
  },
  probe: probeOverlays,

  async do(context) {
    await transact(context, 'claimed');
    return null;
  },

  verify: verifyOverlays,
  observeUndo: observeRunning,
  undo: undoMarked,
};

/**
 * In the pause of a group, over overlays that are open or that QEMU makes; what it decides is the group's. QEMU flushes each
 * disk in front of its snapshot and reports when that fails, which `stop` does not. The transaction went with `stop` where that was
 * sent. A migration is looked for before the vote: behind `go` others run on their overlays already. The mark is there since before
 * the pause.
 */
export const takeSnapshotInPause: Step<SnapshotPlan> = {
  name: 'takeSnapshotInPause',
  probe: probeOverlays,

  async do(context) {
    const { qmp, plan, outcomes, nothingSentYet } = context;
    expectPausedThroughout(context);
    const taken = nothingSentYet ? takenIn(outcomes.get('pauseGuest')) : 'notSent';
    if (taken === 'unknown') throw mayBeTaken();
    if (taken === 'notSent') {
      await expectNames(context, 'claimed');
      expectTaken(plan, await qmp.pipeline(takingWith(plan, null)));
    }
    if (typeof taken === 'object') throw taken.error;
    // An event tells of a guest that was not asked for its run state; behind `go` it is asked.
    expectPausedThroughout(context);
    return null;
  },

  /** A probe has found the overlays in front, and has looked neither for a migration nor whether the guest is paused. */
  async adopt({ qmp }) {
    const sight = await lookAtGuest(qmp);
    expectNotMigrating(sight, 'applied');
    if (sight.running) throw resumedByThirdParty();
    return null;
  },

  observeUndo: observeRunning,
  undo: undoMarked,
};

/**
 * Without `transaction`: one `blockdev-snapshot-sync` after the other while the guest is paused, so that the cut is one
 * instant all the same. The first refusal ends it, and the undo undoes those before.
 */
export const takeSnapshotsOneByOne: Step<SnapshotPlan> = {
  name: 'takeSnapshotsOneByOne',
  decision: 'afterwards',

  /** When the guest has run, it cannot be told any more whether it did so before the last of them. */
  async probe(context) {
    const { absent, present, foreign } = await probeOverlays(context, context.decided);
    const isOne = context.plan.disks.length === 1;
    if (context.pausedThroughout() || context.decided || isOne) return { absent, present, foreign };
    return { absent, present: [], foreign: present };
  },

  async do(context, todo) {
    for (const disk of todo) {
      // QEMU makes the overlay by its name, and opens the image below anew by its own.
      await expectNames(context, 'claimed');
      const [reply] = await context.qmp.pipeline([
        { execute: 'blockdev-snapshot-sync', arguments: snapshotSync(disk) },
      ]);
      if (!reply.ok) throw reply.error.at({ disk: disk.disk });
    }
    return null;
  },

  async verify(context) {
    await verifyOverlays(context);
    // One disk alone is one instant, whatever the guest does.
    if (context.plan.disks.length > 1) await expectPausedInQemu(context);
  },

  observeUndo: observeRunning,
  undo: undoSnapshots,
};

/** To be asked for by a probe. */
function mayBeTaken(): BlocksagaError {
  const why = 'the snapshots may have been taken when QEMU did not answer what stopped the guest';
  return new BlocksagaError('VERIFY_FAILED', why, { retryable: true, effect: 'unknown' });
}

/** In front of the decision, and not again in a next process, where it may have been taken. */
async function findNames(context: StepContext<SnapshotPlan>, when: 'opened' | 'claimed'): Promise<Json> {
  await expectNames(context, when);
  return { areNamed: true };
}

async function undoMarked(context: StepContext<SnapshotPlan>): Promise<void> {
  await undoSnapshots(context);
  await unmarkTaking(context.qmp, context.plan);
}

/**
 * Looked for a migration right in front, and again in the same write where the snapshots can then be undone. The image below an
 * overlay is opened anew by its name, since it is not written to any more. QEMU takes a snapshot of a node whose device has left,
 * so that right in front the devices have to be on them.
 */
async function transact(context: StepContext<SnapshotPlan>, when: 'opened' | 'claimed'): Promise<void> {
  const { qmp, plan } = context;
  expectNotMigrating(await lookAtGuest(qmp));
  expectSnapshotted(await qmp.execute('query-block'), plan.disks);
  await expectNames(context, when);
  const mark = takingMark(plan);
  const ahead = mark === null ? [] : [mark];
  const answers = await qmp.pipeline([...ahead, transactionOf(plan), ...SIGHT]);
  const [taken, ...sight] = answers.slice(ahead.length) as [Reply, ...Replies<typeof SIGHT>];
  valueForDisks(plan.disks, taken);
  if (canUndoSnapshots(plan)) expectNotMigrating(sightOf(...sight), 'applied');
}

/** Throws FOREIGN where a disk is not on the image that its overlay is to stand on. */
export function expectSnapshotted(blocks: readonly BlockInfo[], disks: readonly DiskPlan[]): void {
  for (const disk of disks) {
    const front = frontOf(blocks, disk);
    if (front === disk.node) continue;
    throw new BlocksagaError(
      'FOREIGN',
      `disk ${disk.disk} is on ${front ?? 'nothing'}, where a third party has put it, and not on node ${disk.node}: its overlay would not be in front`,
      { disk: disk.disk, effect: 'notApplied' },
    );
  }
}

/** `areOurs`: the saga has decided behind them, so that those that are there are its own. */
async function probeOverlays({ qmp, plan }: StepContext<SnapshotPlan>, areOurs = false) {
  const graph = await readGraph(qmp).catch((error: unknown) => {
    throw error instanceof BlocksagaError && !canUndoSnapshots(plan) ? askAgain(error) : error;
  });
  const shown = plan.disks.filter(disk => graph.showsImage(disk));
  // A third party's `blockdev-snapshot` brings neither all overlays at one instant nor the bitmaps.
  const isOurs = shown.length === 0 || areOurs || !plan.marksQemu || (await isTaking(qmp, plan));
  return probeDisks(plan.disks, disk => (shown.includes(disk) ? (isOurs ? 'present' : 'foreign') : 'absent'));
}

async function verifyOverlays({ qmp, plan }: StepContext<SnapshotPlan>): Promise<void> {
  const [blocks] = await qmp.pipeline([{ execute: 'query-block' }]);
  // Where a snapshot cannot be undone, a look that failed is no reason to try: QEMU is asked again.
  if (!blocks.ok) throw canUndoSnapshots(plan) ? blocks.error : askAgain(blocks.error);
  expectFronts(blocks.value, plan.disks, disk => disk.goal);
}
