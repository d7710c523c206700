/**
 * The strongest switch: a filter node above each disk, then one `blockdev-reopen` that moves all filters to the new
 * images or none (QEMU >= 6.1), then the filters out again. The mirrors have ended, and the guest is paused. A third party may
 * resume it at any moment, so what must not meet a running guest is sent by `holdFor`: a look, `stop` and the commands in one
 * write.
 *
 * Disks whose filters are there since before the pause (`live-filters.ts`) are left out where filters come and go. With an iothread
 * a filter above a running disk kills QEMU. Setting `drive` to what it is already kills 7.2, so this looks first wherever an earlier attempt
 * may have set it. A revert switches by it too: what is read of a plan here, its plan has as well.
 */
import { BlocksagaError } from '../../errors.ts';
import { Edges } from '../../guest/edges.ts';
import { expectFronts, type Graph, readGraph } from '../../guest/graph.ts';
import { seenAt } from '../../guest/hold-guest.ts';
import { expectNotMigrating, SIGHT, sightOf } from '../../guest/migration.ts';
import { setDrive } from '../../guest/set-drive.ts';
import { writableSource } from '../../guest/writable-source.ts';
import { hasFilter } from '../../plan/filters.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { Reply } from '../../qmp/client.ts';
import type { Replies } from '../../qmp/commands.ts';
import { valueIn } from '../../qmp/reply-values.ts';
import { closedImages, expectOldNames } from '../prepare/expect-names.ts';
import { valueForDisks } from '../step/blame.ts';
import { expectNotRunBefore, expectPausedThroughout } from '../step/expect-paused.ts';
import { holdFor, judgeHeld, STATUS } from '../step/hold-for.ts';
import { throwFirst } from '../step/replies.ts';
import { type Probe, probeDisks, type Step, type StepContext } from '../step/step.ts';
import { expectAnswering, isServed } from '../step/targets-answer.ts';
import { expectOneSide, observeRun, ranOnBothSides } from './both-sides.ts';
import { addFilter, deleteNode, reopenCommand } from './filter-commands.ts';
import { byOwnFilter, putFiltersBack } from './put-filters-back.ts';
import {
  mayHaveRunOnImages,
  ranOnImages,
  returnToImages,
  rollBackWritten,
  sideAfter,
} from './roll-back-written.ts';
import { expectOnFilters, movedFilters } from './user-filters.ts';
import { deleteFilters, endOf, leaveFilters, takeOffFilters } from './where-filters-lead.ts';

const BLOCKS = { execute: 'query-block' } as const;

export const insertFilters: Step<SwitchPlan> = {
  name: 'insertFilters',

  async probe({ qmp, plan }) {
    const graph = await readGraph(qmp);
    return probeDisks(plan.disks, disk =>
      hasFilter(disk) || graph.front(disk) === disk.names.filter || graph.showsImage(disk)
        ? 'present'
        : 'absent',
    );
  },

  async do(context, all) {
    const { qmp, plan, nothingSentYet } = context;
    const todo = all.filter(disk => !hasFilter(disk));
    const graph = nothingSentYet ? undefined : await readGraph(qmp);
    const missing = todo.filter(disk => graph?.node(disk.names.filter) === undefined);
    // A guest that is resumed now must not meet a filter.
    const held = await holdFor(context, SIGHT, [
      ...missing.map(disk => addFilter(plan, disk)),
      ...todo.map(disk => setDrive(disk, disk.names.filter)),
    ]);
    await judgeHeld(context, held, () => {
      throwFirst([...missing, ...todo], held.replies);
      expectPausedBefore(held);
    });
    return null;
  },

  async undo(context) {
    const { qmp, plan } = context;
    const graph = await readGraph(qmp);
    await leaveFilters(context, graph);
    const inPause = plan.disks.filter(disk => !hasFilter(disk));
    await takeOffFilters(qmp, inPause, graph);
    await deleteFilters(qmp, inPause, graph);
  },
};

export const reopenFilters: Step<SwitchPlan> = {
  name: 'reopenFilters',
  decision: 'alongside',
  /** Disks that are there are another's work where the guest ran on their old images: what it wrote is not on the new ones. */
  async probe(context) {
    const found = await probeImages(context);
    return context.ranBeforeSwitch() ? { ...found, present: [], foreign: found.present } : found;
  },

  /** All disks at once; in a later attempt only those that an earlier one has not switched, whose filters may be gone. */
  async do(context, todo) {
    expectPausedThroughout(context);
    // The decision is written while QEMU works: where no server is asked, this goes out before that begins.
    if (todo.some(isServed)) await expectAnswering(context, todo);
    const sentMs = context.clock.now();
    // A filter that was there before the pause may have lost the guest, and a device its disk.
    const looks = todo.some(hasFilter) ? [BLOCKS] : [];
    const reopen = reopenCommand({ ...context.plan, disks: todo }, disk => disk.goal);
    context.sideIs('old'); // of an attempt before, nothing has come of these
    const held = await holdFor(context, [STATUS], [reopen, ...SIGHT, ...looks], () =>
      context.sideGoesTo('new'),
    );
    const [reopened, after, migration, blocks] = held.replies;
    sideAfter(context, reopened, 'new');
    await judgeHeld(context, held, () => {
      valueForDisks(todo, reopened);
      expectPausedBefore(held);
      expectNotRunBefore(context);
      if (blocks !== undefined) expectOnFilters(todo, valueIn(blocks));
    });
    const { running } = valueIn(after);
    const sight = migration.ok ? sightOf(after, migration) : undefined;
    if (sight !== undefined) expectNotMigrating(sight, 'applied');
    // One that a third party has resumed behind the switch, and stopped, has written to its new images: it is looked at anew.
    const wasStopped = !running && !context.pausedThroughout();
    return sight === undefined || wasStopped ? null : seenAt(sight, sentMs);
  },

  observeUndo: observeRun,

  /** Moves all disks back at once. What the guest has written to their new images, resumed by a third party, goes back with them. */
  async undo(context) {
    const { qmp, plan } = context;
    const graph = await readGraph(qmp);
    const isMoved = await movedFilters(context);
    // A new image that a third party has put above the old one stays in front here: the undo of the mirrors commits it.
    const switched = plan.disks.filter(
      disk => (graph.showsImage(disk) || isMoved(disk)) && !graph.coversSource(disk),
    );
    const { running } = await qmp.execute('query-status');
    await expectOneSide(context, switched, running);
    if (await mayHaveRunOnImages(context, running)) return rollBackWritten(context, switched, graph, running);
    // Of those, the disks whose device is not on the filter by which it was switched.
    const offFilter = switched.filter(disk =>
      hasFilter(disk)
        ? graph.frontName(disk) === disk.goal && !isMoved(disk)
        : graph.front(disk) !== disk.names.filter,
    );
    const hasRun = await moveToSources(context, switched, offFilter, graph);
    await expectOneSide(context, switched, false);
    if (hasRun) await rollBackWritten(context, switched, await readGraph(qmp), true);
  },
};

export const removeFilters: Step<SwitchPlan> = {
  name: 'removeFilters',
  irreversible: 'only after the decision; the undo of `reopenFilters` also takes disks whose filter is gone',

  async probe({ qmp, plan }) {
    const graph = await readGraph(qmp);
    return probeDisks(plan.disks, disk =>
      graph.showsImage(disk) && (hasFilter(disk) || graph.node(disk.names.filter) === undefined)
        ? 'present'
        : 'absent',
    );
  },

  async do(context, all) {
    const { qmp, plan, clock } = context;
    const isFirst = context.nothingSentYet && !context.outcomes.has('removeFilters'); // a revert that is committed comes here again
    const todo = all.filter(disk => !hasFilter(disk));
    const graph = isFirst ? undefined : await readGraph(qmp);
    const edges = isFirst ? undefined : new Edges(await qmp.execute('x-debug-query-block-graph'));
    const below = (disk: DiskPlan) => (edges === undefined ? disk.goal : endOf(context, edges, disk));
    const onFilter = todo.filter(disk => (graph?.front(disk) ?? disk.names.filter) === disk.names.filter);
    const filters = todo.filter(disk => graph === undefined || graph.node(disk.names.filter) !== undefined);
    const sentMs = clock.now();
    const replies = await qmp.pipeline([
      ...onFilter.map(disk => setDrive(disk, below(disk))),
      ...filters.map(deleteNode),
      { execute: 'query-block' },
      ...SIGHT,
    ]);
    throwFirst([...onFilter, ...filters], replies);
    const [fronts, ...sight] = replies.slice(-3) as unknown as Replies<
      readonly [{ readonly execute: 'query-block' }, ...typeof SIGHT]
    >;
    expectFronts(valueIn(fronts), plan.disks, disk => disk.goal);
    return seenAt(sightOf(...sight), sentMs);
  },
};

/** Which disks show the images that they are to end on. */
export async function probeImages({ qmp, plan }: Pick<StepContext, 'qmp' | 'plan'>): Promise<Probe> {
  const graph = await readGraph(qmp);
  return probeDisks(plan.disks, disk => (graph.showsImage(disk) ? 'present' : 'absent'));
}

/**
 * Moves disks to their sources, in one `blockdev-reopen`; those that are off their filters get them again first. Returns whether a
 * third party has resumed the guest meanwhile: then all are on their new images again, which it has written to.
 */
async function moveToSources(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  offFilter: readonly DiskPlan[],
  graph: Graph,
): Promise<boolean> {
  const { qmp, plan } = context;
  await expectOldNames(context, switched, closedImages(graph));
  const sources = new Map<number, string>();
  for (const disk of switched) sources.set(disk.index, await writableSource(qmp, graph, disk));
  const sourceOf = (disk: DiskPlan) => sources.get(disk.index) ?? disk.node;
  const { status, areAtSources, wasLive } = await putFiltersBack(context, offFilter, graph, sourceOf);
  if (ranOnImages(context, status)) return true;
  if (wasLive) await context.recordRun();
  const going = areAtSources ? switched.filter(disk => !offFilter.includes(disk)) : switched;
  if (going.length === 0) return false; // an empty list kills QEMU 7.2
  const moving = going.map(disk => (offFilter.includes(disk) ? byOwnFilter(disk) : disk));
  const back = reopenCommand({ ...plan, disks: moving }, sourceOf);
  const held = await holdFor(context, [STATUS], [back], () => context.sideGoesTo('old'));
  const [before] = held.looked;
  const [reopened] = held.replies;
  sideAfter(context, reopened, 'old');
  valueForDisks(moving, reopened);
  const isBoth = await ranOnBothSides(context, before.ok && before.value.running);
  if (!isBoth && !ranOnImages(context, before)) {
    if (held.wasLive) await context.recordRun();
    return false;
  }
  // What it has written since the last look is on the images that its disks have just left.
  await returnToImages(
    context,
    moving,
    reopenCommand({ ...plan, disks: moving }, disk => disk.goal),
  );
  return true;
}

/**
 * The mirrors have ended: if the guest was resumed before the `stop`, the new images lack what it wrote. Whether it is being migrated
 * is judged here where that was looked at in front of the `stop`.
 */
export function expectPausedBefore({ looked: [status, migration], stopped }: HeldBefore): void {
  // Not asked again: a look after the switch does not say whether the guest ran before it.
  const { running } = valueIn(status);
  if (!stopped.ok) throw stopped.error;
  if (migration !== undefined) expectNotMigrating(sightOf(status, migration));
  if (!running) return;
  throw new BlocksagaError(
    'FOREIGN',
    'a third party resumed the guest while its disks were about to be switched',
  );
}

interface HeldBefore {
  readonly looked: Replies<typeof SIGHT> | Replies<readonly [typeof STATUS]>;
  readonly stopped: Reply<unknown>;
}
