/**
 * The switch of a revert where no filter can go in: QEMU dies of setting the drive of a disk that stays in its iothread while the guest
 * is stopped. One `transaction` puts the new overlays on the disks, which reads the same; then one `blockdev-reopen` rebases all of them
 * onto the older images, or none. In between an overlay stands on an image that its header does not name, and the decision, by which a
 * boot from the headers is right, comes after both. They are two writes: the second is sent when each old image is kept open.
 */
import { BlocksagaError } from '../../errors.ts';
import { type Graph, readGraph } from '../../guest/graph.ts';
import { SIGHT } from '../../guest/migration.ts';
import { reviveSource } from '../../guest/revive-source.ts';
import type { DiskPlan, RevertPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import { observeRunning } from '../pause/pause-guest.ts';
import { closedImages, expectOldNames } from '../prepare/expect-names.ts';
import { rebased } from '../prepare/reopen-image.ts';
import { expectSnapshotted } from '../snapshot/take-snapshot.ts';
import { undoSnapshots } from '../snapshot/undo-snapshots.ts';
import { valueForDisks } from '../step/blame.ts';
import { expectNotRunBefore, expectPausedInQemu, expectPausedThroughout } from '../step/expect-paused.ts';
import { holdFor, judgeHeld, STATUS } from '../step/hold-for.ts';
import { throwFirst } from '../step/replies.ts';
import type { Step, StepContext } from '../step/step.ts';
import { expectAnswering } from '../step/targets-answer.ts';
import { deleteNode } from '../switch/filter-commands.ts';
import {
  mayHaveRunOnImages,
  ranOnImages,
  returnToImages,
  sideAfter,
  stayWithWritten,
} from '../switch/roll-back-written.ts';
import { expectPausedBefore, probeImages } from '../switch/switch-by-reopen.ts';

export const rebaseOverlays: Step<RevertPlan> = {
  name: 'rebaseOverlays',
  decision: 'afterwards',
  probe: probeImages,

  /** An earlier attempt may have come as far as the transaction. */
  async do(context, todo) {
    await expectAnswering(context, todo);
    const graph = await readGraph(context.qmp);
    const bare = todo.filter(disk => !graph.isToBeRebased(disk));
    // One that a third party has resumed on overlays that an earlier process has put there is not stopped.
    expectSnapshotted(await expectPausedInQemu(context), bare);
    const loose = todo.filter(disk => graph.node(disk.names.filter) === undefined);
    await standOnOld(context, bare, loose);
    context.sideIs('old');
    const held = await holdFor(context, SIGHT, [rebased(todo, backingOf)], () => context.sideGoesTo('new'));
    const [reopened] = held.replies;
    sideAfter(context, reopened, 'new');
    await judgeHeld(context, held, () => {
      valueForDisks(todo, reopened);
      expectPausedBefore(held);
      expectNotRunBefore(context);
    });
    return null;
  },

  observeUndo: observeRunning,

  /** Back onto the old images, all at once, and then into them: what a third party let the guest write there goes along. */
  async undo(context) {
    const { qmp, plan } = context;
    const graph = await readGraph(qmp);
    const switched = plan.disks.filter(disk => graph.showsImage(disk));
    const { running } = await qmp.execute('query-status');
    const hasRun = switched.length > 0 && (await mayHaveRunOnImages(context, running));
    if (hasRun || (await moveToSources(context, switched, graph))) await stayWithWritten(context);
    await takeOff(context);
  },
};

/** Puts overlays on the old images, and keeps those open: without one that was asked for, nothing is rebased. */
async function standOnOld(
  context: StepContext<RevertPlan>,
  bare: readonly DiskPlan[],
  loose: readonly DiskPlan[],
): Promise<void> {
  if (bare.length + loose.length === 0) return;
  const snapshot = bare.length === 0 ? [] : [putOn(bare)];
  const held = await holdFor(context, SIGHT, [...snapshot, ...loose.map(keepOpen)]);
  await judgeHeld(context, held, () => {
    for (const reply of held.replies.slice(0, snapshot.length)) valueForDisks(bare, reply);
    throwFirst(loose, held.replies.slice(snapshot.length));
    expectPausedBefore(held);
    expectPausedThroughout(context);
  });
}

function putOn(disks: readonly DiskPlan[]): Command<'transaction'> {
  const actions = disks.map(({ node, names }) => ({
    type: 'blockdev-snapshot' as const,
    data: { node, overlay: names.image },
  }));
  return { execute: 'transaction', arguments: { actions } };
}

/**
 * The old image of a `-drive` goes with its last user, and QEMU 7.2 dies of that within a `blockdev-reopen` of disks in an iothread. It
 * would leave a node that stood on it before the transaction on the overlay.
 */
function keepOpen({ names, node }: DiskPlan): Command<'blockdev-add'> {
  return {
    execute: 'blockdev-add',
    arguments: { driver: 'raw', 'node-name': names.filter, file: node, 'read-only': true },
  };
}

function backingOf({ disk, image: { backing } }: DiskPlan): string {
  if (backing?.node != null) return backing.node;
  throw new BlocksagaError('JOURNAL', `the plan lacks the node that disk ${disk} is reverted to`, { disk });
}

/** Gives whether a third party has resumed the guest meanwhile: then all are on their new images, which it has written to. */
async function moveToSources(
  context: StepContext<RevertPlan>,
  switched: readonly DiskPlan[],
  graph: Graph,
): Promise<boolean> {
  if (switched.length === 0) return false; // an empty list kills QEMU 7.2
  await expectOldNames(context, switched, closedImages(graph));
  const sourceOf = await sourcesOf(context, switched, graph);
  const { looked, replies, wasLive } = await holdFor(context, [STATUS], [rebased(switched, sourceOf)]);
  const [before] = looked;
  const [reopened] = replies;
  valueForDisks(switched, reopened);
  if (!ranOnImages(context, before)) {
    if (wasLive) await context.recordRun();
    return false;
  }
  await returnToImages(context, switched, rebased(switched, backingOf));
  return true;
}

/** Commits the overlays, which stand on the old images, into those. */
async function takeOff(context: StepContext<RevertPlan>): Promise<void> {
  const { qmp, plan } = context;
  const graph = await readGraph(qmp);
  const sourceOf = await sourcesOf(context, plan.disks, graph);
  const kept = plan.disks.filter(({ names }) => graph.node(names.filter) !== undefined);
  throwFirst(kept, await qmp.pipeline(kept.map(deleteNode)));
  const disks = plan.disks.map(disk => ({ ...disk, node: sourceOf(disk) }));
  await undoSnapshots({ ...context, plan: { ...plan, disks } });
}

/** The nodes of the old images; one that has gone is opened anew. */
async function sourcesOf(
  { qmp }: StepContext<RevertPlan>,
  disks: readonly DiskPlan[],
  graph: Graph,
): Promise<(disk: DiskPlan) => string> {
  const sources = new Map<number, string>();
  for (const disk of disks) {
    const isGone = graph.front(disk) === undefined;
    sources.set(disk.index, isGone ? disk.node : await reviveSource(qmp, graph, disk));
  }
  return ({ index, node }) => sources.get(index) ?? node;
}
