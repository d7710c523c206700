/**
 * Disks whose devices have left the guest while a saga was at work: unplugged, or without their medium. No step can
 * undo that. A saga rolls back, or behind its decision forward, with the other disks, and closes what it has of these
 * in QEMU.
 */
import { BlocksagaError } from '../errors.ts';
import type { DiskPlan, Plan } from '../plan/plan.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { Jobs } from '../qmp/jobs.ts';
import { valueIn } from '../qmp/reply-values.ts';
import type { BlockInfo } from '../qmp/schema.generated.ts';
import { endedStream } from './ended-stream.ts';
import { frontOf, readGraph } from './graph.ts';
import { revivedNames } from './revive-source.ts';

/** A disk that has left, by its index in the plan. */
export interface UnpluggedDisk {
  readonly index: number;
  /** The image that it was on last. */
  readonly file: string;
  readonly format: string;
  /** Images of the saga's that may hold what the guest wrote last, for all that is known: they are not removed. */
  readonly keeps: readonly string[];
}

/** The disks of a plan that QEMU shows no image of. */
function unpluggedIn(blocks: readonly BlockInfo[], disks: readonly DiskPlan[]): readonly DiskPlan[] {
  return disks.filter(disk => frontOf(blocks, disk) === undefined);
}

/**
 * Throws DISK_UNPLUGGED. For where all else would continue with a disk that no guest has: a wait, and right before a
 * pause.
 */
export async function expectPlugged({ qmp, plan }: { readonly qmp: QmpClient; readonly plan: Plan }) {
  expectPluggedIn(await qmp.execute('query-block'), plan.disks);
}

/** The same of a reply: a disk that has left has no chain either, which says nothing of what its job has done. */
export function expectPluggedIn(blocks: readonly BlockInfo[], disks: readonly DiskPlan[]): void {
  const [left] = unpluggedIn(blocks, disks);
  if (left !== undefined) throw unplugged(left);
}

export function unplugged(
  { disk }: Pick<DiskPlan, 'disk'>,
  retryable = false,
  cause?: unknown,
): BlocksagaError {
  return new BlocksagaError(
    'DISK_UNPLUGGED',
    `disk ${disk} has left the guest: a third party has unplugged it, or taken its medium out. The result says which image it was on; plug it in again, or leave it out, and begin anew`,
    { disk, retryable, ...(cause === undefined ? {} : { cause }) },
  );
}

/**
 * The same, and those whose devices QEMU does not know any more: for as long as the guest's last requests take, it shows
 * their images still (seen on 7.2 for half a second).
 */
export async function findUnplugged(
  qmp: QmpClient,
  disks: readonly DiskPlan[],
): Promise<readonly DiskPlan[]> {
  const named = disks.filter(({ qdev }) => qdev !== null);
  const [blocks, ...devices] = await qmp.pipeline([
    { execute: 'query-block' },
    ...named.map(({ qdev }) => ({ execute: 'qom-list' as const, arguments: { path: qdev ?? '' } })),
  ]);
  const without = unpluggedIn(valueIn(blocks), disks);
  const isUnknown = (at: number) => {
    const reply = devices[at];
    return reply !== undefined && !reply.ok && reply.error.qmp?.class === 'DeviceNotFound';
  };
  const unknown = named.filter((_, at) => isUnknown(at));
  return disks.filter(disk => without.includes(disk) || unknown.includes(disk));
}

/**
 * Ends the saga's jobs on disks that have left, and closes its nodes there. Waits so long, in milliseconds, for a device that
 * QEMU has not let go of. Gives whether nothing is open any more; what a third party uses stays.
 */
export async function releaseUnplugged(
  qmp: QmpClient,
  jobs: Jobs,
  disks: readonly DiskPlan[],
  withinMs: number,
): Promise<boolean> {
  const ids = disks.flatMap(({ names }) => [names.job, names.undoJob]);
  await jobs.remove(ids, { deadlineMs: REMOVE_DEADLINE_MS }).catch(unlessThereAreNone);
  for (let leftMs = withinMs; ; leftMs -= POLL_MS) {
    for (let round = 0; round < ROUNDS; round += 1) if (await closeAll(qmp, disks)) return true;
    if (leftMs <= 0) return false;
    await qmp.until('a device to leave the guest', pause(), { ...LETTING_GO, deadlineMs: withinMs });
  }
}

/** QEMU before 1.1 knows no jobs. */
export function unlessThereAreNone(error: unknown): undefined {
  if (error instanceof BlocksagaError && error.qmp?.class === 'CommandNotFound') return undefined;
  throw error;
}

const REMOVE_DEADLINE_MS = 30_000;
const POLL_MS = 100;
const LETTING_GO = { wakeOn: ['DEVICE_DELETED'], pollMs: POLL_MS } as const;
/** A node is in use for as long as the one above it is open. */
const ROUNDS = 3;

/** Comes to its end when it is asked for the second time: at an event, or a moment later. */
function pause(): () => Promise<true | undefined> {
  let asked = 0;
  return async () => {
    asked += 1;
    return asked > 1 ? true : undefined;
  };
}

/** Not while an ended stream of another disk waits for its step to dismiss it: QEMU 6.0 to 9.2 die of listing their nodes then. */
async function closeAll(qmp: QmpClient, disks: readonly DiskPlan[]): Promise<boolean> {
  if ((await endedStream(qmp)) !== undefined) return false;
  const graph = await readGraph(qmp);
  const open = disks.flatMap(nodesOf).filter(node => graph.node(node) !== undefined);
  if (open.length === 0) return true;
  await qmp.pipeline(
    open.map(node => ({ execute: 'blockdev-del', arguments: { 'node-name': node } }) as const),
  );
  return false;
}

function nodesOf(disk: DiskPlan): readonly string[] {
  const { names } = disk;
  return [names.filter, names.image, names.imageFile, ...revivedNames(disk), names.chain];
}
