import { describe, expect, test } from 'vitest';
import { openQmpClient } from '../../src/qmp/client.ts';
import {
  createJobs,
  isVerbAllowed,
  JOB_TRANSITIONS,
  JOB_VERBS,
  type JobInfo,
  type JobStatus,
  type Jobs,
} from '../../src/qmp/jobs.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { FakeQemu, Refusal, type Sent } from './fake-qemu.ts';
import { ManualClock, settled } from './manual-clock.ts';

const mirror = (id: string, status: JobStatus, error?: string): JobInfo => ({
  id,
  type: 'mirror',
  status,
  'current-progress': 0,
  'total-progress': 1,
  ...(error === undefined ? {} : { error }),
});

/** Jobs over a table that the test changes; a verb is answered by `onVerb`, with {} by default. */
async function open(
  table: Map<string, JobInfo>,
  onVerb: (command: Sent, fake: FakeQemu) => Json | Refusal | undefined = () => ({}),
): Promise<{ jobs: Jobs; fake: FakeQemu; clock: ManualClock }> {
  const clock = new ManualClock();
  const fake = new FakeQemu((command, self) =>
    command.execute === 'query-jobs'
      ? ([...table.values()].reverse() as unknown as Json)
      : onVerb(command, self),
  );
  const client = await openQmpClient(fake.connect, { clock });
  fake.writes.length = 0;
  return { jobs: createJobs(client), fake, clock };
}

const tableOf = (...infos: JobInfo[]) => new Map(infos.map(info => [info.id, info]));
const lines = (fake: FakeQemu) =>
  fake.sent.map(({ execute, arguments: args }) => `${execute} ${JSON.stringify(args ?? {})}`);

describe('the tables', () => {
  test('every status that a job may reach has a row, and every row can be reached', () => {
    const reached = new Set<string>(['undefined', ...Object.values(JOB_TRANSITIONS).flat()]);
    expect([...reached].sort()).toEqual(Object.keys(JOB_TRANSITIONS).sort());
    expect(Object.keys(JOB_VERBS).sort()).toEqual(Object.keys(JOB_TRANSITIONS).sort());
  });

  test.each([
    ['complete', ['ready', 'standby']],
    ['finalize', ['pending']],
    ['dismiss', ['concluded']],
    ['cancel', ['created', 'running', 'paused', 'ready', 'standby', 'waiting', 'pending']],
    ['pause', ['created', 'running', 'paused', 'ready', 'standby']],
  ] as const)('%s is taken in exactly %j', (verb, statuses) => {
    const allowed = (Object.keys(JOB_VERBS) as JobStatus[]).filter(status => isVerbAllowed(verb, status));
    expect(allowed).toEqual(statuses);
  });
});

describe('verbs', () => {
  test('list tells the named jobs only and leaves out what is not there', async () => {
    const { jobs } = await open(tableOf(mirror('a', 'ready'), mirror('other', 'running')));
    const found = await jobs.list(['a', 'gone']);
    expect([...found.keys()]).toEqual(['a']);
  });

  test.each([
    ['abandon', 'job-cancel {"id":"a"}'],
    ['keepTarget', 'block-job-cancel {"device":"a","force":false}'],
    ['pivot', 'job-complete {"id":"a"}'],
    ['finalize', 'job-finalize {"id":"a"}'],
    ['dismiss', 'job-dismiss {"id":"a"}'],
  ] as const)('%s is one write of %s per job', async (verb, line) => {
    const { jobs, fake } = await open(new Map());
    const replies = await jobs[verb](['a', 'b', 'c']);
    expect(replies.map(reply => reply.ok)).toEqual([true, true, true]);
    expect(fake.writes).toEqual([3]);
    expect(lines(fake)[0]).toBe(line);
  });

  test('a refusal is the reply of its own job and of no other', async () => {
    const { jobs } = await open(new Map(), ({ arguments: args }) =>
      args?.['id'] === 'b' ? new Refusal('no') : {},
    );
    expect((await jobs.finalize(['a', 'b', 'c'])).map(reply => reply.ok)).toEqual([true, false, true]);
  });

  test('pivot falls back to block-job-complete where QEMU does not know job-complete', async () => {
    const { jobs, fake } = await open(new Map(), ({ execute }) =>
      execute === 'job-complete'
        ? new Refusal('The command job-complete has not been found', 'CommandNotFound')
        : {},
    );
    expect((await jobs.pivot(['a', 'b'])).map(reply => reply.ok)).toEqual([true, true]);
    expect(lines(fake).slice(2)).toEqual([
      'block-job-complete {"device":"a"}',
      'block-job-complete {"device":"b"}',
    ]);
  });

  test('pivot does not ask twice when QEMU refuses for another reason', async () => {
    const { jobs, fake } = await open(
      new Map(),
      () => new Refusal('The active block job cannot be completed'),
    );
    expect((await jobs.pivot(['a']))[0]?.ok).toBe(false);
    expect(fake.sent).toHaveLength(1);
  });
});

describe('awaitAll', () => {
  test('waits by event until every job is done, and tells of changes on the way', async () => {
    const table = tableOf(mirror('a', 'running'), mirror('b', 'running'));
    const { jobs, fake, clock } = await open(table);
    const seen: string[] = [];
    const waiting = jobs.awaitAll(['a', 'b'], job => job?.status === 'ready', {
      deadlineMs: 1_000,
      onChange: now => seen.push([...now.values()].map(job => job.status).join()),
    });
    await settled();
    fake.event('BLOCK_JOB_ERROR');
    await settled();
    for (const id of ['a', 'b']) {
      table.set(id, mirror(id, 'ready'));
      fake.event('JOB_STATUS_CHANGE', { id, status: 'ready' });
      await settled();
    }
    expect([...(await waiting).keys()].sort()).toEqual(['a', 'b']);
    expect(seen).toEqual(['running,running', 'running,ready', 'ready,ready']);
    expect(clock.pending).toBe(0);
  });

  test('a job that has vanished is passed as undefined and never counts as done by itself', async () => {
    const { jobs, clock } = await open(tableOf(mirror('a', 'ready')));
    const asked: unknown[] = [];
    const waiting = jobs.awaitAll(
      ['a', 'gone'],
      (job, id) => {
        asked.push([id, job?.status]);
        return job?.status === 'ready';
      },
      { deadlineMs: 10 },
    );
    const failure = expect(waiting).rejects.toMatchObject({ code: 'DEADLINE' });
    await clock.advance(10);
    await failure;
    expect(asked.slice(0, 2)).toEqual([
      ['a', 'ready'],
      ['gone', undefined],
    ]);
  });

  test('a status that no QEMU knows is an error, not a wait', async () => {
    const { jobs } = await open(tableOf({ ...mirror('a', 'ready'), status: 'dreaming' as JobStatus }));
    await expect(jobs.awaitAll(['a'], () => true, { deadlineMs: 10 })).rejects.toMatchObject({
      code: 'QMP_PROTOCOL',
    });
  });
});

describe('remove', () => {
  test('abandons what lives, dismisses what has concluded, and leaves other jobs alone', async () => {
    const table = tableOf(mirror('a', 'ready'), mirror('b', 'concluded', 'x'), mirror('other', 'running'));
    const { jobs, fake } = await open(table, ({ execute, arguments: args }, self) => {
      const id = String(args?.['id']);
      if (execute === 'job-dismiss') table.delete(id);
      else table.set(id, mirror(id, 'concluded', 'Operation canceled'));
      self.event('JOB_STATUS_CHANGE', { id, status: 'concluded' });
      return {};
    });
    await jobs.remove(['a', 'b', 'gone'], { deadlineMs: 1_000 });
    expect([...table.keys()]).toEqual(['other']);
    expect(lines(fake).filter(line => !line.startsWith('query'))).toEqual([
      'job-dismiss {"id":"b"}',
      'job-cancel {"id":"a"}',
      'job-dismiss {"id":"a"}',
    ]);
  });

  test('nothing there is fine and needs one query', async () => {
    const { jobs, fake } = await open(new Map());
    await jobs.remove(['a'], { deadlineMs: 10 });
    expect(lines(fake)).toEqual(['query-jobs {}']);
  });

  test('a refusal is looked into again, and silence for good ends as DEADLINE', async () => {
    const { jobs, clock, fake } = await open(tableOf(mirror('a', 'running')), () => new Refusal('busy'));
    const failure = expect(jobs.remove(['a'], { deadlineMs: 3_000 })).rejects.toMatchObject({
      code: 'DEADLINE',
    });
    await clock.advance(3_000);
    await failure;
    expect(fake.sent.filter(({ execute }) => execute === 'job-cancel').length).toBeGreaterThan(1);
  });

  test('an abandoned job is not abandoned again while it ends', async () => {
    const table = tableOf(mirror('a', 'running'));
    const { jobs, clock, fake } = await open(table);
    const failure = expect(jobs.remove(['a'], { deadlineMs: 5_000 })).rejects.toMatchObject({
      code: 'DEADLINE',
    });
    await clock.advance(5_000);
    await failure;
    expect(fake.sent.filter(({ execute }) => execute === 'job-cancel')).toHaveLength(1);
  });
});
