/**
 * Whether the QEMU in which a saga worked still lives, asked before its images are touched behind its back. It only asks;
 * what QEMU's locks on the images say is asked elsewhere.
 */
import { BlocksagaError } from '../errors.ts';
import { openQmpClient, type QmpClient } from '../qmp/client.ts';
import type { Clock } from '../qmp/clock.ts';
import { connectSocket } from '../qmp/socket.ts';
import type { Connect } from '../qmp/transport.ts';
import { expectNoEndedStream } from '../steps/ended-stream.ts';
import { listNodes, openFiles, valueIfKnown } from '../steps/graph.ts';
import { isOurs } from '../steps/names.ts';
import type { Plan } from '../steps/plan.ts';

/** What a socket says at whose other end there is no QEMU any more (connect(2)). */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED']);

/** Throws SAGA_STATE when the saga's QEMU answers, QMP_CONNECT when somebody is there who does not. */
export async function refuseLivingQemu(
  saga: string,
  plan: Plan,
  qmp: string | Connect,
  clock: Clock,
): Promise<void> {
  if (qmp === '') return;
  const connect = typeof qmp === 'string' ? connectSocket(qmp, { clock }) : qmp;
  const client = await openUnlessGone(saga, connect, clock);
  if (client === undefined) return;
  try {
    const trace = await findTrace(client, plan);
    if (trace === undefined) return;
    throw new BlocksagaError(
      'SAGA_STATE',
      `the QEMU in which saga ${saga} worked still runs (it has ${trace}): go on there with "blocksaga resume ${saga}", or stop it first`,
      { saga },
    );
  } finally {
    client.close();
  }
}

async function openUnlessGone(saga: string, connect: Connect, clock: Clock): Promise<QmpClient | undefined> {
  try {
    return await openQmpClient(connect, { clock });
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    const { cause } = error;
    if (cause instanceof Error && 'code' in cause && NOBODY.has(String(cause.code))) return undefined;
    throw new BlocksagaError(
      'QMP_CONNECT',
      `it cannot be told whether the QEMU of saga ${saga} still runs: ${error.message}. Stop it, or free its monitor`,
      { saga, cause: error },
    );
  }
}

/** Something in this QEMU that only the saga can have made. */
export async function findTrace(client: QmpClient, plan: Plan): Promise<string | undefined> {
  const [objects, jobs] = await client.pipeline([
    { execute: 'qom-list', arguments: { path: '/objects' } },
    { execute: 'query-jobs' },
  ]);
  const names = [
    ...(valueIfKnown(objects) ?? []).map(object => object.name),
    ...(valueIfKnown(jobs) ?? []).map(job => job.id),
  ];
  const trace = names.find(name => isOurs(name, plan.token));
  if (trace !== undefined) return trace;
  if (!plan.marksQemu && plan.passingJobs !== undefined) return imageOf(plan, await openFiles(client));
  await expectNoEndedStream(client);
  const [nodes] = await client.pipeline([listNodes(client)]);
  return (valueIfKnown(nodes) ?? [])
    .map(node => node['node-name'] ?? '')
    .find(name => isOurs(name, plan.token));
}

/** Where nothing of the saga has a name in QEMU, its images are the trace. */
function imageOf({ disks }: Plan, open: ReadonlySet<string>): string | undefined {
  return disks.flatMap(({ file, image }) => [file, image.file]).find(file => open.has(file));
}
