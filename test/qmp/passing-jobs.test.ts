import { describe, expect, test } from 'vitest';
import { openQmpClient } from '../../src/qmp/client.ts';
import { createPassingJobs, type PassingJobs } from '../../src/qmp/passing-jobs.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { FakeQemu, Refusal, type Sent } from './fake-qemu.ts';
import { ManualClock } from './manual-clock.ts';

/** What QEMU 2.4 tells of a mirror that runs; 2.12 tells its status, and 1.3 not even whether it is ready. */
const MIRROR = {
  ...{ device: 'drive0', type: 'mirror', len: 10, offset: 4, speed: 0 },
  ...{ busy: false, paused: false, 'io-status': 'ok', ready: false },
};
const { ready: _, ...MIRROR_OF_1_3 } = MIRROR;
const END = { device: 'drive0', type: 'mirror', len: 10, offset: 10, speed: 0 };

const BY_DISK: PassingJobs = { nameOf: id => (id === 'job' ? 'drive0' : id), forces: true };

async function open(
  live: Json[],
  passing: PassingJobs = BY_DISK,
  onVerb: (command: Sent) => Json | Refusal = () => ({}),
) {
  const fake = new FakeQemu(command => (command.execute === 'query-block-jobs' ? live : onVerb(command)));
  const client = await openQmpClient(fake.connect, { clock: new ManualClock() });
  const jobs = createPassingJobs(client, passing);
  const tell = async (event: string, data: Json) => {
    fake.event(event, data);
    await jobs.list([]);
  };
  const statusOf = async (id = 'job') => (await jobs.list([id])).get(id)?.status;
  return { jobs, fake, client, tell, statusOf };
}

describe('jobs that pass', () => {
  test('are found under the names of their disks, or under their own', async () => {
    const { statusOf } = await open([MIRROR]);
    expect([await statusOf(), await statusOf('other')]).toEqual(['running', undefined]);
    const named = await open([{ ...MIRROR, device: 'job' }], { nameOf: id => id, forces: true });
    expect(await named.statusOf()).toBe('running');
  });

  test.each([
    ['COMPLETED', END, undefined],
    ['COMPLETED', { ...END, error: 'No space left on device' }, 'No space left on device'],
    ['CANCELLED', END, 'it was cancelled'],
  ])('are concluded once their end was heard, and how: %s', async (event, data, error) => {
    const live: Json[] = [MIRROR];
    const { jobs, tell } = await open(live);
    live.length = 0;
    await tell(`BLOCK_JOB_${event}`, data);
    expect((await jobs.list(['job'])).get('job')).toMatchObject({
      status: 'concluded',
      ...(error === undefined ? {} : { error }),
    });
    await jobs.dismiss(['job']);
    expect((await jobs.list(['job'])).size).toBe(0);
  });

  test('are absent when they ended unheard, also where another connection heard it', async () => {
    const { statusOf, tell } = await open([]);
    await tell('BLOCK_JOB_COMPLETED', END);
    expect(await statusOf()).toBe('concluded');
    expect(await (await open([])).statusOf()).toBeUndefined();
  });

  test('are the ones that run, where one of the same disk ended before', async () => {
    const live: Json[] = [];
    const { statusOf, tell } = await open(live);
    await tell('BLOCK_JOB_COMPLETED', END);
    live.push(MIRROR);
    expect(await statusOf()).toBe('running');
  });

  /** Everything is copied by the figures, and no event has said that it is ready. */
  const FULL_OF_1_3 = { ...MIRROR_OF_1_3, offset: 10 };

  test('are taken for ready by their figures at once where they began before this connection', async () => {
    const { statusOf } = await open([FULL_OF_1_3]);
    expect(await statusOf()).toBe('ready');
  });

  test('that began on this connection are ready when QEMU says so, whatever their figures', async () => {
    const live: Json[] = [];
    const { statusOf, tell } = await open(live);
    expect(await statusOf()).toBeUndefined();
    live.push(FULL_OF_1_3);
    expect(await statusOf()).toBe('running');
    await tell('BLOCK_JOB_READY', END);
    expect(await statusOf()).toBe('ready');
    await tell('BLOCK_JOB_COMPLETED', END);
    expect(await statusOf()).toBe('running');
  });

  test('are taken for ready in the end where that word is lost', async () => {
    const live: Json[] = [];
    const { statusOf } = await open(live);
    await statusOf();
    live.push(FULL_OF_1_3);
    const seen = [await statusOf(), await statusOf(), await statusOf(), await statusOf()];
    expect(seen).toEqual(['running', 'running', 'running', 'ready']);
  });

  test('are remembered for each question on the same connection', async () => {
    const { client, tell } = await open([]);
    await tell('BLOCK_JOB_COMPLETED', END);
    const again = await createPassingJobs(client, BY_DISK).list(['job']);
    expect(again.get('job')?.status).toBe('concluded');
  });

  test.each([
    [{ ...MIRROR, ready: true }, 'ready'],
    [{ ...MIRROR, ready: true, paused: true }, 'standby'],
    [{ ...MIRROR, offset: 10 }, 'running'],
    [{ ...MIRROR, paused: true }, 'paused'],
    [{ ...MIRROR, status: 'waiting' }, 'waiting'],
    [{ ...MIRROR_OF_1_3, offset: 10 }, 'ready'],
    [{ ...MIRROR_OF_1_3, offset: 10, type: 'stream' }, 'running'],
    [MIRROR_OF_1_3, 'running'],
  ] as const)('are what QEMU tells of them: %j', async (job, status) => {
    expect(await (await open([job])).statusOf()).toBe(status);
  });

  test('are ready by the event where nothing else says so, whatever the figures', async () => {
    const { statusOf, tell } = await open([MIRROR_OF_1_3]);
    await tell('BLOCK_JOB_READY', END);
    expect(await statusOf()).toBe('ready');
  });

  test('that were only taken for ready are tried again when QEMU does not complete them', async () => {
    const refuse = () => new Refusal('The active block job for device cannot be completed');
    const { jobs, tell } = await open([{ ...MIRROR_OF_1_3, offset: 10 }], BY_DISK, refuse);
    const codes = async () => (await jobs.pivot(['job'])).map(reply => reply.ok || reply.error.code);
    await jobs.list(['job']);
    expect(await codes()).toEqual(['NOT_CONVERGING']);
    await tell('BLOCK_JOB_READY', END);
    expect(await codes()).toEqual(['QMP_COMMAND']);
  });

  test.each([
    ['abandon', true, 'block-job-cancel {"device":"drive0","force":true}'],
    ['abandon', false, 'block-job-cancel {"device":"drive0"}'],
    ['keepTarget', true, 'block-job-cancel {"device":"drive0"}'],
    ['pivot', true, 'block-job-complete {"device":"drive0"}'],
  ] as const)('%s is one write of what such a QEMU knows: %j, %s', async (verb, forces, line) => {
    const { jobs, fake } = await open([], { ...BY_DISK, forces });
    fake.writes.length = 0;
    await jobs[verb](['job', 'second']);
    expect(fake.writes).toEqual([2]);
    expect(`${fake.sent[0]?.execute} ${JSON.stringify(fake.sent[0]?.arguments)}`).toBe(line);
  });
});
