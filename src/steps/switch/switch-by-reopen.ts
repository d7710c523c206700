/**
 * The strongest switch: a filter node above each disk, then one `blockdev-reopen` that moves all filters to the new
 * images or none (QEMU >= 6.1), then the filters out again. The guest is stopped throughout: with an iothread a filter
 * above a running disk kills QEMU. Setting `drive` to what it is already kills 7.2, so this looks first wherever an earlier attempt
 * may have set it.
 */
import { BlocksagaError } from '../../errors.ts';
import { Edges } from '../../guest/edges.ts';
import { expectFronts, type Graph, readGraph } from '../../guest/graph.ts';
import { holdGuest, resumeVcpus, seenAt, wasPausedByUs } from '../../guest/hold-guest.ts';
import { expectNotMigrating, SIGHT, sightOf } from '../../guest/migration.ts';
import { reviveSource } from '../../guest/revive-source.ts';
import { setDrive } from '../../guest/set-drive.ts';
import { writableSource } from '../../guest/writable-source.ts';
import type { DiskPlan, StagePlan, SwitchPlan } from '../../plan/plan.ts';
import type { Command, QmpClient, Reply } from '../../qmp/client.ts';
import type { Replies } from '../../qmp/commands.ts';
import type { StatusInfo } from '../../qmp/schema.generated.ts';
import { undoPivots } from '../mirror/undo-pivots.ts';
import { holdTheSame } from '../pause/mark-settling.ts';
import { closedImages, expectOldNames } from '../prepare/expect-names.ts';
import { attributeToDisk } from '../step/blame.ts';
import { expectPausedThroughout } from '../step/expect-paused.ts';
import { throwFirst } from '../step/replies.ts';
import { type Probe, probeDisks, type Step, type StepContext } from '../step/step.ts';
import { expectAnswering } from '../step/targets-answer.ts';
import { addFilter, deleteNode, hasUserFilter, reopenCommand } from './filter-commands.ts';
import { byOwnFilter, putFiltersBack } from './put-filters-back.ts';
import { expectOnFilters, movedFilters } from './user-filters.ts';
import { endOf, takeOffFilters } from './where-filters-lead.ts';

const STATUS = { execute: 'query-status' } as const;
const BLOCKS = { execute: 'query-block' } as const;
/** It changes nothing of a guest that is held already; right before a switch it also holds one that a third party has resumed. */
const STOP = { execute: 'stop' } as const;
const RETURN_TRIES = 3;

export const insertFilters: Step<SwitchPlan> = {
  name: 'insertFilters',

  async probe({ qmp, plan }) {
    const graph = await readGraph(qmp);
    return probeDisks(plan.disks, disk =>
      hasUserFilter(disk) || graph.front(disk) === disk.names.filter || graph.showsImage(disk)
        ? 'present'
        : 'absent',
    );
  },

  async do({ qmp, plan, nothingSentYet }, all) {
    const todo = all.filter(disk => !hasUserFilter(disk));
    const graph = nothingSentYet ? undefined : await readGraph(qmp);
    const missing = todo.filter(disk => graph?.node(disk.names.filter) === undefined);
    const [status, migration, stopped, ...replies] = await qmp.pipeline([
      ...SIGHT,
      STOP, // a guest that is resumed now must not meet a filter
      ...missing.map(disk => addFilter(plan, disk)),
      ...todo.map(disk => setDrive(disk, disk.names.filter)),
    ]);
    throwFirst([...missing, ...todo], replies);
    expectHeld(status, migration, stopped);
    return null;
  },

  async undo(context) {
    const { qmp, plan } = context;
    const graph = await readGraph(qmp);
    const onFilter = plan.disks.filter(disk => graph.front(disk) === disk.names.filter);
    const commands: Command<'qom-set'>[] = [];
    await expectOldNames(context, onFilter, closedImages(graph));
    // A `-drive`'s node is gone after a reopen, also after one that was undone.
    const edges =
      onFilter.length === 0 ? undefined : new Edges(await qmp.execute('x-debug-query-block-graph'));
    for (const disk of onFilter) {
      // A third party may have put an overlay between the filter and the image; what it left there stays the active image.
      const below = edges?.child(disk.names.filter, 'file');
      const isSource = below === undefined || below === disk.node;
      commands.push(setDrive(disk, isSource ? await reviveSource(qmp, graph, disk) : below));
    }
    throwFirst(onFilter, await qmp.pipeline(commands));
    await takeOffFilters(qmp, plan.disks, graph);
    await deleteFilters(qmp, plan.disks, graph);
  },
};

export const reopenFilters: Step<SwitchPlan> = {
  name: 'reopenFilters',
  decision: 'alongside',
  probe: probeImages,

  /** All disks at once; in a later attempt only those that an earlier one has not switched, whose filters may be gone. */
  async do(context, todo) {
    expectPausedThroughout(context);
    await expectAnswering(context, todo);
    const [status, migration, stopped, reopened, after, blocks] = await context.qmp.pipeline([
      ...SIGHT,
      STOP, // right before it: even if a third party has resumed it, the guest is paused for the switch
      reopenCommand({ ...context.plan, disks: todo }, disk => disk.goal),
      STATUS,
      ...(todo.some(hasUserFilter) ? [BLOCKS] : []), // a filter that is not the saga's own may have lost the guest
    ]);
    await attributeToDisk(todo, valueIn(reopened));
    if (blocks !== undefined) expectOnFilters(todo, await valueIn(blocks));
    expectHeld(status, migration, stopped);
    // A guest that was resumed after the switch writes to the new side only. One that is paused now ran before it;
    // asked once more, since the news that it runs may have come with an earlier answer.
    const ranAfterwards = (await valueIn(after)).running;
    if (ranAfterwards || context.pausedThroughout()) return null;
    if (!(await context.qmp.execute('query-status')).running) expectPausedThroughout(context);
    return null;
  },

  async undo(context) {
    const { qmp, plan } = context;
    const graph = await readGraph(qmp);
    // An image that a third party has put on the old one cannot be left for that: the undo of the mirrors commits it.
    const isMoved = await movedFilters(context);
    const switched = plan.disks.filter(
      disk => (graph.showsImage(disk) || isMoved(disk)) && !graph.coversSource(disk),
    );
    const { running } = await qmp.execute('query-status');
    if (await mayHaveRunOnImages(context, running)) return rollBackWritten(context, switched, graph, running);
    await expectOldNames(context, switched, closedImages(graph));
    const sources = new Map<number, string>();
    for (const disk of switched) sources.set(disk.index, await writableSource(qmp, graph, disk));
    const sourceOf = (disk: DiskPlan) => sources.get(disk.index) ?? disk.node;
    const offFilter = switched.filter(disk =>
      hasUserFilter(disk)
        ? graph.frontName(disk) === disk.goal && !isMoved(disk)
        : graph.front(disk) !== disk.names.filter,
    );
    const seen = await putFiltersBack(context, offFilter, graph, sourceOf);
    if (seen !== 'gone' && !ranBeforeSwitch(context) && seen !== undefined && ranUpTo(context, seen))
      return rollBackWritten(context, switched, await readGraph(qmp), true);
    const going = seen === 'gone' ? switched.filter(disk => !offFilter.includes(disk)) : switched;
    if (going.length === 0) return; // an empty list kills QEMU 7.2
    const moving = going.map(disk => (offFilter.includes(disk) ? byOwnFilter(disk) : disk));
    const back = reopenCommand({ ...plan, disks: moving }, sourceOf);
    const [status, , reopened] = await qmp.pipeline([STATUS, STOP, back]);
    await attributeToDisk(moving, valueIn(reopened));
    if (ranBeforeSwitch(context) || !ranUpTo(context, status)) return;
    // A third party has resumed it since the last look: what it has written is on the images that it has just left.
    await returnToWritten(context, moving);
    await rollBackWritten(context, switched, await readGraph(qmp), true);
  },
};

export const removeFilters: Step<SwitchPlan> = {
  name: 'removeFilters',
  irreversible: 'only after the decision; the undo of `reopenFilters` also takes disks whose filter is gone',

  async probe({ qmp, plan }) {
    const graph = await readGraph(qmp);
    return probeDisks(plan.disks, disk =>
      graph.showsImage(disk) && graph.node(disk.names.filter) === undefined ? 'present' : 'absent',
    );
  },

  async do(context, all) {
    const { qmp, plan, clock } = context;
    const isFirst = context.nothingSentYet && !context.outcomes.has('removeFilters'); // not behind `commitRevert`
    const todo = all.filter(disk => !hasUserFilter(disk));
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
    if (!fronts.ok) throw fronts.error;
    expectFronts(fronts.value, plan.disks, disk => disk.goal);
    return seenAt(sightOf(...sight), sentMs);
  },
};

/** Which disks show the images that they are to end on. */
export async function probeImages({ qmp, plan }: Pick<StepContext, 'qmp' | 'plan'>): Promise<Probe> {
  const graph = await readGraph(qmp);
  return probeDisks(plan.disks, disk => (graph.showsImage(disk) ? 'present' : 'absent'));
}

/** Whether the new images may hold what the old ones lack: also where a third party has switched a disk before the pause. */
async function mayHaveRunOnImages(context: StepContext<SwitchPlan>, running: boolean): Promise<boolean> {
  if (ranBeforeSwitch(context)) return false;
  if (running || !context.pausedThroughout()) return true;
  return areCopies(context.plan) && !(await holdTheSame(context));
}

/** A guest that was resumed before the switch, which has failed for that, has written to the old side alone. */
const ranBeforeSwitch = ({ failure }: StepContext<SwitchPlan>) => failure?.code === 'FOREIGN';

/** Whether the guest has run up to this look, or is known to have run: a look may be refused. */
function ranUpTo({ pausedThroughout }: StepContext<SwitchPlan>, status: Reply<StatusInfo>): boolean {
  return (status.ok && status.value.running) || !pausedThroughout();
}

/** At once, and again when it is refused: another attempt of the undo could not tell any more where the guest has written. */
async function returnToWritten(
  { qmp, plan }: StepContext<SwitchPlan>,
  disks: readonly DiskPlan[],
): Promise<void> {
  const again = reopenCommand({ ...plan, disks }, disk => disk.goal);
  for (let triesLeft = RETURN_TRIES; triesLeft > 0; triesLeft -= 1) {
    const [, reopened] = await qmp.pipeline([STOP, again]);
    if (reopened.ok) return;
    if (triesLeft === 1) await attributeToDisk(disks, valueIn(reopened));
  }
}

/** Rolls back from images that the guest has written to: copies that back first; where it cannot, of a revert, throws OVERTAKEN. */
async function rollBackWritten(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  graph: Graph,
  ran: boolean,
): Promise<void> {
  if (!areCopies(context.plan)) {
    if (switched.length === 0) return;
    await context.recordSides();
    throw new BlocksagaError(
      'OVERTAKEN',
      'a third party has resumed the guest on the older images: what it wrote is on the overlays above them, and they stay in front',
    );
  }
  if (switched.length > 0) {
    if (ran) await context.recordRun();
    await takeOutFilters(context, switched, graph, ran);
  }
  await undoPivots(context);
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
  if (!disks.some(disk => graph.node(disk.names.filter) !== undefined)) return;
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

async function deleteFilters(qmp: QmpClient, disks: readonly DiskPlan[], graph: Graph): Promise<void> {
  const filters = disks.filter(disk => graph.node(disk.names.filter) !== undefined);
  throwFirst(filters, await qmp.pipeline(filters.map(deleteNode)));
}

/** The mirrors have ended: if the guest was resumed before the `stop`, the new images lack what it wrote. */
function expectHeld(
  status: Reply<StatusInfo>,
  migration: Parameters<typeof sightOf>[1],
  stopped: Reply<unknown>,
): void {
  // Not asked again: a look after the switch does not say whether the guest ran before it.
  if (!status.ok) throw status.error;
  if (!stopped.ok) throw stopped.error;
  const sight = sightOf(status, migration);
  expectNotMigrating(sight);
  if (!sight.running) return;
  throw new BlocksagaError(
    'FOREIGN',
    'a third party resumed the guest while its disks were about to be switched',
  );
}

async function valueIn<T>(reply: Reply<T>): Promise<T> {
  if (!reply.ok) throw reply.error;
  return reply.value;
}
