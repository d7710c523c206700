/**
 * Puts filters of the saga's above disks that are on their new images without one, so that these go back with all others in one
 * `blockdev-reopen`: of disks that go one after the other, a guest that is resumed in between would write to both sides. What the
 * guest reads stays the same.
 */
import type { Graph } from '../../guest/graph.ts';
import { lookAtGuest } from '../../guest/migration.ts';
import { setDrive } from '../../guest/set-drive.ts';
import { ownFilter } from '../../plan/filters.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { Reply } from '../../qmp/client.ts';
import type { StatusInfo } from '../../qmp/schema.generated.ts';
import { holdFor, STATUS } from '../step/hold-for.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';
import { addFilter, deleteNode } from './filter-commands.ts';
import { takeOffFilters } from './where-filters-lead.ts';

/** What has come of it. */
interface PutBack {
  /** What the guest did right before; undefined where it was not asked. */
  readonly status?: Reply<StatusInfo>;
  /** Whether these disks have gone to their sources by themselves. */
  readonly areAtSources: boolean;
  /** Whether the guest was paused for that. */
  readonly wasLive: boolean;
}

/**
 * Pauses the guest for it: a filter above a running disk kills QEMU. A QEMU that the guest has left by a migration opens nothing
 * above its images any more: there each device is set to its source.
 */
export async function putFiltersBack(
  context: StepContext<SwitchPlan>,
  disks: readonly DiskPlan[],
  graph: Graph,
  sourceOf: (disk: DiskPlan) => string,
): Promise<PutBack> {
  if (disks.length === 0) return { areAtSources: false, wasLive: false };
  const { qmp, plan } = context;
  if ((await lookAtGuest(qmp)).status === 'postmigrate') {
    throwFirst(disks, await qmp.pipeline(disks.map(disk => setDrive(disk, sourceOf(disk)))));
    return { areAtSources: true, wasLive: false };
  }
  // A filter that its device is off may have been moved since: it is made anew.
  const idle = disks.filter(({ names }) => graph.node(names.filter) !== undefined);
  await takeOffFilters(qmp, idle, graph);
  const { looked, stopped, replies, wasLive } = await holdFor(
    context,
    [STATUS],
    [
      ...idle.map(deleteNode),
      ...disks.map(disk => addFilter(plan, { ...disk, node: graph.front(disk) ?? disk.goal })),
      ...disks.map(disk => setDrive(disk, disk.names.filter)),
    ],
  );
  if (!stopped.ok) throw stopped.error;
  throwFirst([...idle, ...disks, ...disks], replies);
  return { status: looked[0], areAtSources: false, wasLive };
}

/** A disk as one that is switched by the saga's own filter, also where one of the user's was there: its guest has left that. */
export function byOwnFilter(disk: DiskPlan): DiskPlan {
  if (ownFilter(disk) !== undefined) return disk;
  const { filters: _left, ...own } = disk;
  return own;
}
