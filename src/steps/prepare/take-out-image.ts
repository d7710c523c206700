/**
 * Takes new images that were not switched to out of the chains of the guest's disks, where a third party has put them there as
 * overlays (`blockdev-snapshot`): what the guest has written to one since is committed into the image that it was put on. The
 * guest runs meanwhile. It closes and removes nothing.
 */
import { Edges } from '../../guest/edges.ts';
import { chainFiles, frontOf, plainName } from '../../guest/graph.ts';
import { isTaking } from '../../guest/mark-taking.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Command, QmpClient } from '../../qmp/client.ts';
import { valueIfKnown, valueIn } from '../../qmp/reply-values.ts';
import type { BlockInfo } from '../../qmp/schema.generated.ts';
import { isConcluded, readyWhileNearing } from '../jobs/await-jobs.ts';
import { dismissJobs } from '../jobs/dismiss-jobs.ts';
import { jobFailed } from '../jobs/run-jobs.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';
import { hidesWrites, isEmptyBelow, readWritten } from './expect-empty.ts';

const DEADLINE_MS = 24 * 60 * 60_000;
/** A commit that comes no nearer for so long is given up. */
const NEARER_WITHIN_MS = 60 * 60_000;

/**
 * Gives the disks whose image was in a chain; it is not any more then. Throws FOREIGN where one hides what the guest wrote, as a job fails,
 * and as `execute`.
 */
export async function takeOutImages(context: StepContext): Promise<readonly DiskPlan[]> {
  const { qmp, jobs, plan, clock } = context;
  if (plan.jobsVanishOnEnd !== undefined || !(await areTheirs(context))) return [];
  const commits = await commitsOf(qmp, plan.disks);
  if (commits.length === 0) return [];
  const written = readWritten(context.outcomes.get('undo.mirrorDisks'));
  const hiding = commits.find(({ disk }) => !isEmptyBelow(disk, written));
  if (hiding !== undefined) throw hidesWrites(hiding.disk);
  const disks = commits.map(({ disk }) => disk);
  const ids = disks.map(disk => disk.names.undoJob);
  await jobs.remove(ids, { deadlineMs: DEADLINE_MS });
  throwFirst(disks, await qmp.pipeline(commits.map(({ command }) => command)));
  const reached = readyWhileNearing(clock, NEARER_WITHIN_MS);
  const table = await jobs.awaitAll(ids, reached, { deadlineMs: DEADLINE_MS });
  const active = disks.filter(({ names }) => !isConcluded(table.get(names.undoJob)));
  throwFirst(active, await jobs.pivot(active.map(({ names }) => names.undoJob)));
  const ended = await jobs.awaitAll(ids, isConcluded, { deadlineMs: DEADLINE_MS });
  for (const disk of disks) {
    const job = ended.get(disk.names.undoJob);
    if (job?.error !== undefined) throw jobFailed(disk, job);
  }
  await dismissJobs({ jobs }, ids);
  return disks;
}

/** An overlay of a snapshot may stand there by the saga itself, by records that an older journal lacks. */
async function areTheirs({ qmp, plan }: StepContext): Promise<boolean> {
  if (plan.operation === 'copy') return true;
  // Also one that the saga itself has put on its old image reads as before when it is committed into that.
  if (plan.operation === 'revert') return plan.strategy === 'rebase';
  return plan.operation === 'snapshot' && plan.marksQemu && !(await isTaking(qmp, plan));
}

/** Those for images that the saga has opened on nothing, and that stand on something now. */
async function commitsOf(qmp: QmpClient, disks: readonly DiskPlan[]) {
  const [reply, blocks] = await qmp.pipeline([
    { execute: 'x-debug-query-block-graph' },
    { execute: 'query-block' },
  ]);
  const known = valueIfKnown(reply);
  if (known === undefined) return commitsByFile(valueIn(blocks), disks);
  const edges = new Edges(known);
  return disks.flatMap(disk => {
    const { image } = disk.names;
    const base = edges.child(image, 'backing');
    if (base === undefined || isPlanned(edges, disk, base)) return [];
    return [{ disk, command: commit(disk, rootOf(edges, disk), base) }];
  });
}

/**
 * The same where QEMU does not tell which node stands on which (before 4.0), but tells the files of each disk's chain. No new
 * image is in one any more when this is asked, but by a third party.
 */
function commitsByFile(blocks: readonly BlockInfo[], disks: readonly DiskPlan[]) {
  return disks.flatMap(disk => {
    const files = chainFiles(blocks, disk).map(plainName);
    const at = files.indexOf(plainName(disk.image.file));
    const front = frontOf(blocks, disk);
    const base = nodeOf(disk, files[at + 1]);
    if (at === -1 || front === undefined || base === undefined) return [];
    return [{ disk, command: commit(disk, front, base) }];
  });
}

/** The node of an image that a third party may have put the new one on: the disk's own, or the one that the header names. */
function nodeOf({ image, file, node }: DiskPlan, path: string | undefined): string | undefined {
  if (path === plainName(file)) return node;
  const { backing } = image;
  return backing !== null && path === plainName(backing.file) ? (backing.node ?? undefined) : undefined;
}

/**
 * Whether the saga itself has opened an image on what it stands on. The target of a snapshot's mirror is opened again on the
 * image below the overlay; where the disk's overlay is in front of that, or was never taken, it was not the saga. On the image that
 * its disk is reverted to, an overlay stands by the saga.
 */
function isPlanned(edges: Edges, { names, node, image }: DiskPlan, base: string): boolean {
  if (image.backing === null) return false;
  if (image.openBacking) return true;
  if (image.rebased === true) return base === image.backing.node;
  if (base !== image.backing.node && base !== names.chain) return false;
  const isTaken = edges.child(node, 'backing') !== undefined;
  return isTaken && !edges.below([edges.top(names.image)]).has(node);
}

/** The root of what the image is in: a filter of the user's, where it is below that, or the uppermost overlay. */
function rootOf(edges: Edges, { names, filters = [] }: DiskPlan): string {
  const top = edges.top(names.image);
  return filters.find(({ node }) => edges.below([node]).has(top))?.node ?? top;
}

/** An active commit of the uppermost image; below another one a commit that leaves that other on the base. */
function commit({ names }: DiskPlan, top: string, base: string): Command<'block-commit'> {
  const job = { 'job-id': names.undoJob, 'base-node': base, 'auto-dismiss': false } as const;
  const place = top === names.image ? { device: top } : { device: top, 'top-node': names.image };
  return { execute: 'block-commit', arguments: { ...job, ...place } };
}
