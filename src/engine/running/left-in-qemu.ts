/**
 * What of a saga is still in QEMU when it has ended: its jobs, its nodes, its throttle groups, and old images that QEMU
 * has not closed. It is told by QEMU, in words for people, and only looked for: what uses a node may be a third party's.
 */
import type { BlocksagaError } from '../../errors.ts';
import { type AnyJob, allJobsBy } from '../../guest/all-jobs.ts';
import { Edges } from '../../guest/edges.ts';
import { frontOf, listNodes } from '../../guest/graph.ts';
import { survey } from '../../operations/survey.ts';
import { isOurs } from '../../plan/names.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { valueIfKnown, valueIn } from '../../qmp/reply-values.ts';
import type { BlockInfo } from '../../qmp/schema.generated.ts';
import { stagesOf } from '../../steps/stages.ts';

/** What devices are on, and what of the saga is left. */
export interface SeenInQemu {
  readonly blocks: readonly BlockInfo[];
  readonly left: readonly string[];
}

/** Two round trips of queries, and one more where there are nodes of the saga's that are not right below a device. */
export async function seenInQemu(qmp: QmpClient, plan: Plan): Promise<SeenInQemu> {
  const [devices, jobs, objects] = await qmp.pipeline([
    { execute: 'query-block' },
    { execute: 'query-jobs' },
    { execute: 'qom-list', arguments: { path: '/objects' } },
  ]);
  const blocks = valueIn(devices);
  const all = await allJobsBy(qmp, jobs);
  const ours = (name: string) => isOurs(name, plan.token);
  const left = [
    ...all.filter(({ id }) => ours(id)).map(jobInWords),
    ...(valueIfKnown(objects) ?? []).filter(({ name }) => ours(name)).map(({ name }) => groupInWords(name)),
  ];
  const ended = all.find(({ type, status }) => type === 'stream' && ENDED.has(status));
  // Some QEMUs die of listing their nodes then (steps/ended-stream.ts).
  if (ended !== undefined) return { blocks, left: [...left, unlisted(ended.id)] };
  const nodes = await nodesLeft(qmp, plan, blocks);
  return { blocks: nodes.blocks, left: [...left, ...nodes.left] };
}

const ENDED: ReadonlySet<string> = new Set(['aborting', 'concluded']);

async function nodesLeft(qmp: QmpClient, plan: Plan, blocks: readonly BlockInfo[]): Promise<SeenInQemu> {
  const [reply] = await qmp.pipeline([listNodes(qmp)]);
  const nodes = (valueIfKnown(reply) ?? []).map(node => node['node-name'] ?? '');
  const disks = stagesOf(plan).flatMap(stage => stage.plan.disks);
  const right = new Set(disks.flatMap(disk => rightBelow(blocks, disk)));
  // Those that QEMU has named by itself it closes by itself, once nothing uses them.
  const old = new Set(disks.flatMap(disk => disk.retiring).filter(node => !node.startsWith('#')));
  const suspects = nodes.filter(node => (isOurs(node, plan.token) || old.has(node)) && !right.has(node));
  if (suspects.length === 0) return { blocks, left: [] };
  const now = await nodesInUse(qmp, blocks);
  const left = suspects.flatMap(node => {
    if (!now.used.has(node)) return [nodeInWords(node, isOurs(node, plan.token))];
    return isOurs(node, plan.token) && node.endsWith('-filter') ? [filterInWords(node)] : [];
  });
  return { blocks: now.blocks, left };
}

/** A new image that a device is on, and the node of its file. */
function rightBelow(blocks: readonly BlockInfo[], disk: DiskPlan): readonly string[] {
  const { image, imageFile } = disk.names;
  return frontOf(blocks, disk) === image ? [image, imageFile] : [];
}

interface InUse {
  readonly used: ReadonlySet<string>;
  /** The devices as they are by then: one may have left since, with its nodes. */
  readonly blocks: readonly BlockInfo[];
}

/** All nodes that a device of the guest can be on; without a graph (before QEMU 4.0) those that are on the files of a chain. */
async function nodesInUse(qmp: QmpClient, before: readonly BlockInfo[]): Promise<InUse> {
  const [graph, now] = await qmp.pipeline([
    { execute: 'x-debug-query-block-graph' },
    { execute: 'query-block' },
  ]);
  const edges = valueIfKnown(graph);
  if (edges !== undefined) {
    const blocks = now.ok ? now.value : before;
    const fronts = blocks.flatMap(({ inserted }) => inserted?.['node-name'] ?? []);
    return { used: new Edges(edges).below(fronts), blocks };
  }
  const { disks } = await survey(qmp);
  const [after] = await qmp.pipeline([{ execute: 'query-block' }]);
  const used = new Set(disks.flatMap(disk => [disk.node, ...disk.nodes.flat()]));
  return { used, blocks: after.ok ? after.value : before };
}

function jobInWords({ id, status, endedBy }: AnyJob): string {
  const next = status === 'concluded' ? 'job-dismiss clears it' : `${endedBy} ends it without a switch`;
  return `job ${id} (it is ${status}: QMP's ${next})`;
}

function groupInWords(name: string): string {
  return `throttle group ${name} (it limits nothing: QMP's object-del takes it away once no node is in it)`;
}

function filterInWords(node: string): string {
  return `node ${node} (a filter above a disk of the guest: it limits nothing, and may stay until the guest ends)`;
}

function nodeInWords(node: string, isMade: boolean): string {
  const what = isMade ? 'made by this saga' : 'an image that a disk has left';
  return `node ${node} (${what}, and QEMU has not closed it: QMP's blockdev-del does once no export or other node uses it)`;
}

function unlisted(job: string): string {
  return `nodes of this saga's, perhaps (QEMU may die of listing them while the stream ${job} has ended and is not dismissed: dismiss it, then ask "blocksaga doctor")`;
}

/** What to say where QEMU answers and still could not be asked. */
export function unasked(error: BlocksagaError): string {
  return `what is left in QEMU (it could not be asked: ${error.message}; "blocksaga doctor" asks it again)`;
}
