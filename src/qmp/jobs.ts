/**
 * QEMU's jobs: its two state tables as data, and the verbs for many jobs at once under names that say what they do.
 * Each verb is one write for all ids. Nothing here decides whether a job's end is good or bad.
 */

import { BlocksagaError } from '../errors.ts';
import type { Command, EventName, QmpClient, Reply } from './client.ts';
import type { JobInfo, JobStatus } from './schema.generated.ts';

export type { JobInfo, JobStatus } from './schema.generated.ts';

/** From which status a job may go to which. Source: QEMU's job.c, `JobSTT`, the same from 5.2 to 10.0. */
export const JOB_TRANSITIONS: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  undefined: ['created'],
  created: ['running', 'aborting', 'null'],
  running: ['paused', 'ready', 'waiting', 'aborting'],
  paused: ['running'],
  ready: ['standby', 'waiting', 'aborting'],
  standby: ['ready'],
  waiting: ['pending', 'aborting'],
  pending: ['aborting', 'concluded'],
  aborting: ['aborting', 'concluded'],
  concluded: ['null'],
  null: [],
};

/** What can be asked of a job; `change` is known from QEMU 8.2 on. */
export type JobVerb =
  | 'cancel'
  | 'pause'
  | 'resume'
  | 'set-speed'
  | 'complete'
  | 'finalize'
  | 'dismiss'
  | 'change';

const WHILE_COPYING = ['cancel', 'pause', 'resume', 'set-speed', 'change'] as const;

/** Which verbs QEMU accepts in which status. Source: QEMU's job.c, `JobVerbTable`, 10.0; 5.2 lacks complete in standby. */
export const JOB_VERBS: Readonly<Record<JobStatus, readonly JobVerb[]>> = {
  undefined: [],
  created: WHILE_COPYING,
  running: WHILE_COPYING,
  paused: WHILE_COPYING,
  ready: [...WHILE_COPYING, 'complete'],
  standby: [...WHILE_COPYING, 'complete'],
  waiting: ['cancel'],
  pending: ['cancel', 'finalize'],
  aborting: [],
  concluded: ['dismiss'],
  null: [],
};

/** Whether QEMU's table lets a job in this status be asked this; QEMU may still refuse for other reasons. */
export function isVerbAllowed(verb: JobVerb, status: JobStatus): boolean {
  return JOB_VERBS[status].includes(verb);
}

/** The jobs that are there, by id. */
export type JobTable = ReadonlyMap<string, JobInfo>;

/** How long to wait, in milliseconds, and for whom to stop earlier. */
export interface JobWaitOptions {
  readonly deadlineMs: number;
  /** Counts by the wall clock: for what bounds the guest's pause. */
  readonly byWallClock?: boolean;
  /** Looks again this often even if no event comes (default 1000). */
  readonly pollMs?: number;
  readonly signal?: AbortSignal;
}

/** The verbs that bring a job to its end. */
export type EndingVerb = 'pivot' | 'finalize' | 'keepTarget';

/** What came of a verb, and what was seen right behind it: undefined where QEMU did not say. */
export interface ActAndLook {
  readonly replies: readonly Reply[];
  readonly table: JobTable | undefined;
}

/** What can be done to many jobs at once. Verbs never reject: each job's reply is in the list, in order. */
export interface Jobs {
  /** The named jobs as one `query-jobs` tells them; one that is not there is absent from the map. Throws as `execute`. */
  list(ids: readonly string[]): Promise<JobTable>;
  /** Ends jobs without effect on the guest's disks (`job-cancel`, which is always forced and never pivots). */
  abandon(ids: readonly string[]): Promise<readonly Reply[]>;
  /**
   * Ends READY mirrors or active commits with success and without pivot: the target becomes a copy of that instant and
   * the source stays in front (soft `block-job-cancel`). A job that is not yet READY is aborted by the same command
   * and concludes with an error, so read the verdict.
   */
  keepTarget(ids: readonly string[]): Promise<readonly Reply[]>;
  /** Switches READY jobs to their targets (`job-complete`; `block-job-complete` where QEMU lacks that). */
  pivot(ids: readonly string[]): Promise<readonly Reply[]>;
  /** Lets PENDING jobs take effect. */
  finalize(ids: readonly string[]): Promise<readonly Reply[]>;
  /** A verb, and a look at the jobs behind it, as one write: QEMU answers in that order. `ahead` goes in front; its answers are not given. */
  actAndLook(verb: EndingVerb, ids: readonly string[], ahead?: readonly Command[]): Promise<ActAndLook>;
  /** Removes concluded jobs from QEMU's table; read their verdict first. */
  dismiss(ids: readonly string[]): Promise<readonly Reply[]>;
  /** Limits jobs to a speed in bytes per second; 0 lifts the limit. */
  setSpeed(ids: readonly string[], bytesPerSecond: number): Promise<readonly Reply[]>;
  /**
   * Waits by event and query until `done` holds for every id; a job that is not there is passed as undefined and is
   * absent from the result. `onChange` is called whenever a query tells something new.
   * Throws DEADLINE, ABORTED, and as `execute`.
   */
  awaitAll(
    ids: readonly string[],
    done: (info: JobInfo | undefined, id: string) => boolean,
    options: JobWaitOptions & { readonly onChange?: (jobs: JobTable) => void },
  ): Promise<JobTable>;
  /**
   * Abandons and dismisses whatever of these exists, and resolves when none is left; none there is fine too.
   * Throws DEADLINE, ABORTED, and as `execute`.
   */
  remove(ids: readonly string[], options: JobWaitOptions): Promise<void>;
}

const WAKE_ON: readonly EventName[] = [
  'JOB_STATUS_CHANGE',
  'BLOCK_JOB_READY',
  'BLOCK_JOB_PENDING',
  'BLOCK_JOB_COMPLETED',
  'BLOCK_JOB_CANCELLED',
  'BLOCK_JOB_ERROR',
];

/** What one kind of QEMU is told and asked about jobs; `Jobs` is made of it. */
export interface JobTalk {
  /** After these events a job may be what is waited for. */
  readonly wakeOn: readonly EventName[];
  list(ids: readonly string[]): Promise<JobTable>;
  abandon(ids: readonly string[]): Promise<readonly Reply[]>;
  dismiss(ids: readonly string[]): Promise<readonly Reply[]>;
  setSpeed(ids: readonly string[], bytesPerSecond: number): Promise<readonly Reply[]>;
  /** The verb for all, and whatever else is asked, as one write. */
  act(verb: EndingVerb, ids: readonly string[]): Promise<readonly Reply[]>;
  actAndLook(verb: EndingVerb, ids: readonly string[], ahead?: readonly Command[]): Promise<ActAndLook>;
}

/**
 * The job verbs over one client.
 *
 * @example
 * ```ts
 * const jobs = createJobs(client);
 * await jobs.awaitAll(['m0', 'm1'], job => job?.status === 'ready', { deadlineMs: 60_000 });
 * await jobs.pivot(['m0', 'm1']);
 * ```
 */
export function createJobs(client: QmpClient): Jobs {
  return jobsOver(client, keptJobs(client));
}

/** Jobs that QEMU keeps in its table until they are dismissed (QEMU 3.1). */
function keptJobs(client: QmpClient): JobTalk {
  async function act(
    verb: EndingVerb,
    ids: readonly string[],
    behind: readonly Command[] = [],
    ahead: readonly Command[] = [],
  ): Promise<readonly Reply[]> {
    const all = await client.pipeline([...ahead, ...ids.map(ENDING_COMMANDS[verb]), ...behind]);
    const replies = all.slice(ahead.length);
    // One QEMU knows a command or does not: either none of them was understood, or all were.
    if (verb !== 'pivot' || !replies.slice(0, ids.length).some(isUnknownCommand)) return replies;
    const older = (device: string) => ({ execute: 'block-job-complete', arguments: { device } }) as const;
    return client.pipeline([...ids.map(older), ...behind]);
  }

  return {
    wakeOn: ['JOB_STATUS_CHANGE'],
    list: async ids => tableOf(await client.execute('query-jobs'), ids),
    abandon: ids => client.pipeline(ids.map(id => ({ execute: 'job-cancel', arguments: { id } }) as const)),
    dismiss: ids => client.pipeline(ids.map(id => ({ execute: 'job-dismiss', arguments: { id } }) as const)),
    setSpeed: (ids, speed) =>
      client.pipeline(
        ids.map(device => ({ execute: 'block-job-set-speed', arguments: { device, speed } }) as const),
      ),
    act,
    async actAndLook(verb, ids, ahead) {
      const all = await act(verb, ids, [{ execute: 'query-jobs' }], ahead);
      const look = all.at(-1) as Reply<readonly JobInfo[]> | undefined;
      return { replies: all.slice(0, ids.length), table: look?.ok ? tableOf(look.value, ids) : undefined };
    },
  };
}

/** The verbs, and the waits that are the same whatever QEMU is told. */
export function jobsOver(client: QmpClient, talk: JobTalk): Jobs {
  const { list, abandon, dismiss, setSpeed, act, actAndLook } = talk;

  async function remove(ids: readonly string[], options: JobWaitOptions): Promise<void> {
    const abandoned = new Set<string>();
    await client.until(
      `the jobs ${ids.join(', ')} to be gone`,
      async () => {
        const jobs = [...(await list(ids)).values()];
        if (jobs.length === 0) return true;
        const concluded = jobs.filter(job => isVerbAllowed('dismiss', job.status)).map(job => job.id);
        const live = jobs
          .filter(job => isVerbAllowed('cancel', job.status) && !abandoned.has(job.id))
          .map(job => job.id);
        for (const reply of await dismiss(concluded)) throwUnlessRefused(reply);
        for (const [at, reply] of (await abandon(live)).entries()) {
          throwUnlessRefused(reply);
          const id = live[at];
          if (reply.ok && id !== undefined) abandoned.add(id);
        }
        return undefined;
      },
      { wakeOn: WAKE_ON, ...options },
    );
  }

  return {
    list,
    abandon,
    dismiss,
    actAndLook,
    pivot: ids => act('pivot', ids),
    finalize: ids => act('finalize', ids),
    keepTarget: ids => act('keepTarget', ids),
    remove,
    setSpeed,
    async awaitAll(ids, done, { onChange, ...options }) {
      let told = '';
      let known: JobTable = new Map();
      const seemDone = new Set<string>();
      return client.until(
        `the jobs ${ids.join(', ')}`,
        async () => {
          const jobs = await list(ids);
          known = jobs;
          for (const id of ids) if (done(jobs.get(id), id)) seemDone.add(id);
          const text = onChange ? fingerprint(jobs) : '';
          if (text !== told) onChange?.(jobs);
          told = text;
          return ids.every(id => done(jobs.get(id), id)) ? jobs : undefined;
        },
        {
          wakeOn: talk.wakeOn,
          // Many jobs change at once: while some are still expected, another look would tell nothing that counts.
          wakeIf: event => {
            if (onChange !== undefined) return true;
            if (event.event !== 'JOB_STATUS_CHANGE') return true;
            const { id, status } = event.data;
            const job = known.get(id);
            if (job !== undefined && (status === 'null' || done({ ...job, status }, id))) seemDone.add(id);
            return job === undefined ? ids.includes(id) : ids.every(each => seemDone.has(each));
          },
          ...options,
        },
      );
    },
  };
}

const ENDING_COMMANDS: Readonly<Record<EndingVerb, (id: string) => Command>> = {
  pivot: id => ({ execute: 'job-complete', arguments: { id } }),
  finalize: id => ({ execute: 'job-finalize', arguments: { id } }),
  keepTarget: id => ({ execute: 'block-job-cancel', arguments: { device: id, force: false } }),
};

function tableOf(infos: readonly JobInfo[], ids: readonly string[]): JobTable {
  const wanted = new Set(ids);
  return new Map(infos.filter(info => wanted.has(info.id)).map(info => [checked(info).id, info]));
}

/** A job may have moved on between our look and our verb, which QEMU then refuses; anything else is a failure. */
function throwUnlessRefused(reply: Reply): void {
  if (!reply.ok && reply.error.code !== 'QMP_COMMAND') throw reply.error;
}

function isUnknownCommand(reply: Reply): boolean {
  return !reply.ok && reply.error.qmp?.class === 'CommandNotFound';
}

function fingerprint(jobs: JobTable): string {
  return [...jobs.values()]
    .map(
      job => `${job.id} ${job.status} ${job['current-progress']}/${job['total-progress']} ${job.error ?? ''}`,
    )
    .join('\n');
}

/** Decisions hang on these members, so their shape is not taken on trust. */
function checked(info: JobInfo): JobInfo {
  if (typeof info.id === 'string' && Object.hasOwn(JOB_TRANSITIONS, info.status)) return info;
  throw new BlocksagaError(
    'QMP_PROTOCOL',
    `QEMU reported a job in no status that is known: ${info.id} ${info.status}`,
  );
}
