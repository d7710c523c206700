/**
 * Whether the QEMU in which a saga worked is still alive, asked before its images are touched behind its back. It only
 * asks; what QEMU's locks on the images say is asked elsewhere.
 */
import { BlocksagaError } from '../../errors.ts';
import { allJobsBy } from '../../guest/all-jobs.ts';
import { expectNoEndedStream } from '../../guest/ended-stream.ts';
import { listNodes, openFiles } from '../../guest/graph.ts';
import { openGuestClient } from '../../guest/storage-daemon.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import { isOurs } from '../../plan/names.ts';
import type { Plan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import type { Clock } from '../../qmp/clock.ts';
import { valueIfKnown } from '../../qmp/reply-values.ts';
import { connectSocket } from '../../qmp/socket.ts';
import type { Connect } from '../../qmp/transport.ts';
import { toldMore } from './further-in-qemu.ts';
import { isMarkedBy } from './plan-to-resume.ts';

/** What a socket says at whose other end there is no QEMU any more (connect(2)). */
const NOT_LISTENING = new Set(['ENOENT', 'ECONNREFUSED']);

/**
 * Throws SAGA_STATE when the saga's QEMU answers, JOURNAL_BEHIND when the saga has ended in it, QMP_CONNECT when
 * something is there that does not.
 */
export async function refuseLivingQemu(
  saga: string,
  plan: Plan,
  qmp: string | Connect,
  clock: Clock,
  records: () => readonly JournalRecord[],
): Promise<void> {
  if (qmp === '') return;
  const connect = typeof qmp === 'string' ? connectSocket(qmp, { clock }) : qmp;
  const client = await openUnlessGone(saga, connect, clock);
  if (client === undefined) return;
  try {
    const trace = await findTrace(client, plan);
    if (trace === undefined) return;
    if (isMarkedBy(records())) await refuseOlderJournal(client, saga, plan);
    const more = await toldMore(client, plan.token, records);
    if (more !== undefined)
      throw new BlocksagaError(
        'JOURNAL_BEHIND',
        `the QEMU in which saga ${saga} worked still runs, and is further than the journal: ${more}. The journal is an older copy, and ` +
          'nothing has been done by it: put the newer one back. Where that is lost, see to it that the guest runs (QMP: cont), and ' +
          'run this again once it has been shut down',
        { saga },
      );
    throw new BlocksagaError(
      'SAGA_STATE',
      `the QEMU in which saga ${saga} worked still runs (it has ${trace}): continue there with "blocksaga resume ${saga}", or stop it first`,
      { saga },
    );
  } finally {
    client.close();
  }
}

/**
 * Throws JOURNAL_BEHIND when the guest runs on images that the saga has opened while its mark is gone: the saga was
 * committed in this very QEMU, and a journal that still has it open is behind. Nothing may be done on the word of such
 * a journal.
 */
export async function refuseOlderJournal(client: QmpClient, saga: string, plan: Plan): Promise<void> {
  if (!plan.marksQemu) return;
  // A third party may take one mark away; a saga takes all of them when it ends.
  const objects = await client.execute('qom-list', { path: '/objects' });
  if (objects.some(({ name }) => isOurs(name, plan.token))) return;
  const blocks = await client.execute('query-block');
  const front = blocks.find(({ inserted }) => isOurs(inserted?.['node-name'] ?? '', plan.token))?.inserted;
  if (front === undefined) return;
  throw new BlocksagaError(
    'JOURNAL_BEHIND',
    `saga ${saga} has ended in this QEMU: the guest runs on ${front.file}, which it made, and its mark has been taken away. The journal ` +
      'is an older copy: put the newer one back. Where that is lost, resume the guest; once it has been shut down, ' +
      `"blocksaga resume --offline ${saga} --front new" writes down that it is on the new images`,
    { saga },
  );
}

async function openUnlessGone(saga: string, connect: Connect, clock: Clock): Promise<QmpClient | undefined> {
  try {
    return await openGuestClient(connect, { clock });
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    const { cause } = error;
    if (cause instanceof Error && 'code' in cause && NOT_LISTENING.has(String(cause.code))) return undefined;
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
    ...(await allJobsBy(client, jobs)).map(job => job.id),
  ];
  const trace = names.find(name => isOurs(name, plan.token));
  if (trace !== undefined) return trace;
  if (!plan.marksQemu && plan.jobsVanishOnEnd !== undefined) return imageOf(plan, await openFiles(client));
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
