/**
 * Jobs of a QEMU that forgets them when they end (before 3.1), under the verbs of `Jobs`. It cannot be asked how they
 * ended: an end that was seen on this connection is remembered from its event, and one that was not is unknown, so that
 * the job is absent. Whether a pivot took place is for the caller to ask of QEMU's disks.
 */
import { BlocksagaError, invariant } from '../errors.ts';
import type { Command, QmpClient, QmpEvent, Reply } from './client.ts';
import { type JobInfo, type JobStatus, type Jobs, type JobTable, jobsOver } from './jobs.ts';
import { valueIn } from './reply-values.ts';
import type { BlockJobInfo } from './schema.generated.ts';

/** What is to be known of jobs that pass. */
export interface PassingJobs {
  /** What QEMU calls the job of this id: the id itself, or before 2.7 the disk that it works on. */
  nameOf(id: string): string;
  /** Whether a cancel can be forced; before 1.3 no job can be paused, and none need be. */
  readonly forces: boolean;
}

/** What QEMU before 2.2 (`ready`) and 2.12 (`status`) did not tell of a job. */
type OlderJobInfo = Omit<BlockJobInfo, 'ready' | 'status'> & Partial<Pick<BlockJobInfo, 'ready' | 'status'>>;

/** What was heard of the jobs on one connection, by QEMU's names. */
interface Heard {
  readonly ended: Map<string, Pick<JobInfo, 'type' | 'error'>>;
  readonly ready: Set<string>;
  /** Taken for ready without QEMU having said so. */
  readonly guessed: Set<string>;
  /** There is none, or it has begun since: with how many looks have found all copied without a word that it is ready. */
  readonly begunHere: Map<string, number>;
}

/** How many looks must find all copied before a word that has not come is taken for lost. */
const LOOKS_WITHOUT_WORD = 3;

/** Events come in order with the replies, and only on a connection that is there: what was heard is its own. */
const heardOn = new WeakMap<QmpClient, Heard>();

/** The job verbs for these jobs over one client. */
export function createPassingJobs(client: QmpClient, { nameOf, forces }: PassingJobs): Jobs {
  const heard = heardOn.get(client) ?? listen(client);

  const read = (replies: readonly Reply[], ids: readonly string[]): JobTable => {
    const [jobs] = replies as readonly [Reply<readonly OlderJobInfo[]>];
    const live = new Map(valueIn(jobs).map(job => [job.device, job]));
    const table = new Map<string, JobInfo>();
    for (const id of ids) {
      const name = nameOf(id);
      const job = live.get(name);
      const end = heard.ended.get(name);
      if (job === undefined) heard.begunHere.set(name, 0);
      if (job !== undefined) table.set(id, liveInfo(id, job, heard));
      else if (end !== undefined) table.set(id, endedInfo(id, end));
    }
    return table;
  };

  const act = async (
    verb: string,
    ids: readonly string[],
    behind: readonly Command[] = [],
    ahead: readonly Command[] = [],
  ) => {
    const command = VERBS[verb];
    invariant(command !== undefined, `jobs that pass can be asked to ${verb}`);
    const replies = await client.pipeline([...ahead, ...ids.map(id => command(nameOf(id))), ...behind]);
    return replies.slice(ahead.length).map((reply, at) => {
      const id = ids[at];
      return verb === 'pivot' && id !== undefined && heard.guessed.has(nameOf(id)) ? softened(reply) : reply;
    });
  };

  return jobsOver(client, {
    wakeOn: ['BLOCK_JOB_READY', 'BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED', 'BLOCK_JOB_ERROR'],
    list: async ids => read(await client.pipeline(LOOK), ids),
    abandon: ids => act(forces ? 'abandon' : 'keepTarget', ids),
    async dismiss(ids) {
      for (const id of ids) heard.ended.delete(nameOf(id));
      return ids.map(() => ({ ok: true, value: {} }) as const);
    },
    setSpeed: (ids, speed) =>
      client.pipeline(
        ids.map(
          id => ({ execute: 'block-job-set-speed', arguments: { device: nameOf(id), speed } }) as const,
        ),
      ),
    act,
    async actAndLook(verb, ids, ahead) {
      const all = await act(verb, ids, LOOK, ahead);
      const looks = all.slice(ids.length);
      return {
        replies: all.slice(0, ids.length),
        table: looks.every(look => look.ok) ? read(looks, ids) : undefined,
      };
    },
  });
}

const LOOK = [{ execute: 'query-block-jobs' }] as const;

const VERBS: Readonly<Record<string, (device: string) => Command>> = {
  pivot: device => ({ execute: 'block-job-complete', arguments: { device } }),
  keepTarget: device => ({ execute: 'block-job-cancel', arguments: { device } }),
  abandon: device => ({ execute: 'block-job-cancel', arguments: { device, force: true } }),
};

function listen(client: QmpClient): Heard {
  const heard: Heard = { ended: new Map(), ready: new Set(), guessed: new Set(), begunHere: new Map() };
  heardOn.set(client, heard);
  client.subscribe(event => hear(heard, event));
  return heard;
}

function hear({ ended, ready, guessed, begunHere }: Heard, event: QmpEvent): void {
  if (event.event === 'BLOCK_JOB_READY') {
    ready.add(event.data.device);
    guessed.delete(event.data.device);
  }
  if (event.event !== 'BLOCK_JOB_COMPLETED' && event.event !== 'BLOCK_JOB_CANCELLED') return;
  const { type, device } = event.data;
  const error = event.event === 'BLOCK_JOB_CANCELLED' ? 'it was cancelled' : event.data.error;
  ready.delete(device);
  guessed.delete(device);
  begunHere.set(device, 0);
  ended.set(device, { type, ...(error === undefined ? {} : { error }) });
}

function liveInfo(id: string, job: OlderJobInfo, heard: Heard): JobInfo {
  const info = {
    id,
    type: job.type as JobInfo['type'],
    'current-progress': job.offset,
    'total-progress': job.len,
  };
  return { ...info, status: statusOf(job, heard) };
}

function statusOf(job: OlderJobInfo, heard: Heard): JobStatus {
  if (job.status !== undefined) return job.status;
  if (job.ready ?? isSaidReady(job, heard)) return job.paused ? 'standby' : 'ready';
  return job.paused ? 'paused' : 'running';
}

/**
 * Before 2.2 only an event says that a mirror is ready, and it may have come before this connection, or be lost. Then the figures
 * are taken for a hint that it can be tried: QEMU refuses to complete what is not ready, and nothing is lost by that. A job that
 * has begun on this connection has all copied at first sight where there is little to copy, and its word is still to come.
 */
function isSaidReady(
  { device, len, offset, type }: OlderJobInfo,
  { ready, guessed, begunHere }: Heard,
): boolean {
  if (ready.has(device)) return true;
  if (type === 'stream' || len === 0 || offset < len) return false;
  const looks = begunHere.get(device) ?? LOOKS_WITHOUT_WORD;
  begunHere.set(device, looks + 1);
  if (looks < LOOKS_WITHOUT_WORD) return false;
  guessed.add(device);
  return true;
}

function endedInfo(id: string, { type, error }: Pick<JobInfo, 'type' | 'error'>): JobInfo {
  const status = 'concluded';
  return {
    id,
    type,
    status,
    'current-progress': 0,
    'total-progress': 0,
    ...(error === undefined ? {} : { error }),
  };
}

/** A job that was only taken for ready may not be: that is asked again later. */
function softened(reply: Reply): Reply {
  if (reply.ok || reply.error.code !== 'QMP_COMMAND') return reply;
  const error = new BlocksagaError(
    'NOT_CONVERGING',
    `a mirror is not ready after all: ${reply.error.message}`,
    {
      cause: reply.error,
    },
  );
  return { ok: false, error };
}
