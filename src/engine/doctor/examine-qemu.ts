/**
 * Finds in a QEMU what sagas have made there: jobs, nodes, throttle groups, and a guest that is paused beside them. Each one's
 * maker tells whether it may be removed; files are not looked at.
 */
import { allJobsBy } from '../../guest/all-jobs.ts';
import { listNodes } from '../../guest/graph.ts';
import { type Survey, survey } from '../../operations/survey.ts';
import { isSagaName } from '../../plan/names.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { createJobs, type JobInfo } from '../../qmp/jobs.ts';
import { valueIfKnown } from '../../qmp/reply-values.ts';
import type { Makers } from '../removal/makers.ts';
import type { Removable } from './finding.ts';
import { type Covered, orphanedGuest, orphanGroup, orphanJob, orphanNode } from './orphans.ts';

/** What sagas have made in this QEMU. Throws as it does. */
export async function examineQemu(qmp: QmpClient, makers: Makers): Promise<readonly Removable[]> {
  const [status, jobs, nodes, objects] = await qmp.pipeline([
    { execute: 'query-status' },
    { execute: 'query-jobs' },
    listNodes(qmp),
    { execute: 'qom-list', arguments: { path: '/objects' } },
  ]);
  if (!status.ok) throw status.error;
  const seen = await survey(qmp);
  const used = usedBy(seen);
  const names = (valueIfKnown(nodes) ?? []).map(node => node['node-name'] ?? '').filter(isSagaName);
  const groups = (valueIfKnown(objects) ?? []).map(object => object.name).filter(isSagaName);
  const ours = (await allJobsBy(qmp, jobs)).filter(job => isSagaName(job.id));
  const found = [
    ...ours.map(job => {
      const inUse = job.status === 'concluded' ? undefined : `it is ${job.status}`;
      const found = foundInQemu('job', job.id, makers, inUse, orphanJob(job), () => dismiss(qmp, job.id));
      return job.status === 'pending' && found !== undefined ? { ...found, why: found.why + HELD } : found;
    }),
    // Images that a guest's disk is on are no leftovers: that is where a saga puts it.
    ...names
      .filter(name => !used.has(name) || name.endsWith('-filter'))
      .map(name =>
        foundInQemu(
          'node',
          name,
          makers,
          used.has(name) ? 'a disk of the guest is behind it' : undefined,
          orphanNode(used.has(name), aboveDisk(seen, name)),
          async () => {
            await qmp.execute('blockdev-del', { 'node-name': name });
          },
        ),
      ),
    ...groups.map(name =>
      foundInQemu('group', name, makers, undefined, orphanGroup(), async () => {
        await qmp.execute('object-del', { id: name });
      }),
    ),
  ].filter(finding => finding !== undefined);
  return [...pausedGuest(status.value, found), ...found];
}

/** In PENDING a mirror and an active commit keep what the guest writes from their source (drained, block/mirror.c). */
const HELD =
  '. At once: it is held right before its switch, and what the guest writes to its disk may wait for that';

/** A stream that has to be dismissed before QEMU can be asked for its nodes; what else there is shows after that. */
export function streamInTheWay(job: JobInfo, qmp: QmpClient, makers: Makers): readonly Removable[] {
  const orphan = isSagaName(job.id)
    ? orphanJob({ ...job, endedBy: 'job-cancel' })
    : 'no saga has made this stream';
  const found = foundInQemu('job', job.id, makers, undefined, orphan, () => dismiss(qmp, job.id));
  if (found === undefined) return [];
  const next = 'only when it is dismissed (QMP: job-dismiss) QEMU and the images can be examined';
  return [{ ...found, why: `${found.why}; ${next}` }];
}

/** The nodes of all guest disks' chains, by every name that QEMU tells. */
export async function nodesInUse(qmp: QmpClient): Promise<ReadonlySet<string>> {
  return usedBy(await survey(qmp));
}

function usedBy({ disks }: Survey): ReadonlySet<string> {
  return new Set(
    disks.flatMap(disk => [disk.node, ...disk.filters.map(({ node }) => node), ...disk.nodes.flat()]),
  );
}

/** The disk that is right on this filter. */
function aboveDisk({ disks, iothreads }: Survey, name: string): Covered | undefined {
  const disk = disks.find(({ filters }) => filters[0]?.node === name);
  if (disk === undefined || disk.qdev === null) return undefined;
  return { qdev: disk.qdev, below: disk.filters[1]?.node ?? disk.node, isPausedForIt: iothreads };
}

function foundInQemu(
  kind: 'job' | 'node' | 'group',
  name: string,
  makers: Makers,
  inUse: string | undefined,
  orphan: string,
  remove: () => Promise<void>,
): Removable | undefined {
  const maker = makers.of(name);
  if (maker !== undefined && makers.isRunning(maker)) return undefined;
  const finding = (why: string, removable = false): Removable => ({
    kind,
    name,
    saga: maker?.id ?? null,
    why,
    removable,
    remove: removable ? remove : undefined,
  });
  if (maker === undefined) return finding(orphan);
  if (makers.isDead(maker))
    return finding(`saga ${maker.id} is open and needs it: "blocksaga resume ${maker.id}"`);
  if (inUse !== undefined) return finding(`saga ${maker.id} has ended, but ${inUse}: it is left alone`);
  return finding(`saga ${maker.id} has ended (${maker.state}) and nothing uses it`, true);
}

/** A paused guest in a QEMU with traces of a dead saga. */
function pausedGuest(
  { running, status }: { readonly running: boolean; readonly status: string },
  found: readonly Removable[],
): readonly Removable[] {
  const trace = found.find(({ removable }) => !removable);
  if (running || status !== 'paused' || trace === undefined) return [];
  const next =
    trace.saga === null
      ? orphanedGuest()
      : `"blocksaga resume ${trace.saga}" settles that first and resumes the guest`;
  return [
    {
      kind: 'guest',
      name: 'guest',
      saga: trace.saga,
      why: `the guest is paused, perhaps by a saga for its switch: ${next}`,
      removable: false,
      remove: undefined,
    },
  ];
}

async function dismiss(qmp: QmpClient, id: string): Promise<void> {
  const [reply] = await createJobs(qmp).dismiss([id]);
  if (reply !== undefined && !reply.ok) throw reply.error;
}
