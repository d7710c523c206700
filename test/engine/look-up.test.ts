/** Which sagas there are, and what is heard of them, in this process and in another one. */
import { describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine/engine.ts';
import type { SagaNotice } from '../../src/engine/running/saga-types.ts';
import { live, rejection, smallSim } from './lives.ts';

const DISKS = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));
const REQUEST = { id: 's', vm: 'web', disks: DISKS, metadata: { task: '4711' } };

describe('the sagas of a journal', () => {
  test('come newest first, a page at a time, each once', () => {
    const { engine, journal } = live(smallSim());
    const ids = Array.from({ length: 7 }, (_, at) => `s${at}`);
    const row = { operation: 'copy', planVersion: 1, address: '', request: {}, plan: {} };
    for (const id of ids) journal.begin({ ...row, id, vm: id });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = engine.sagas({ limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      expect(page.sagas.length).toBeLessThanOrEqual(3);
      seen.push(...page.sagas.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(seen).toEqual(ids.toReversed());
    expect(engine.sagas({ vm: 's3' }).sagas.map(({ id }) => id)).toEqual(['s3']);
    expect(engine.sagas({ operation: 'pull' }).sagas).toEqual([]);
    expect(() => engine.sagas({ limit: 0 })).toThrow(/limit/);
  });

  test.each<readonly [string, object]>([
    ['limit', { limit: Number.NaN }],
    ['state', { state: 'commited' }],
    ['since', { since: Number.NaN }],
    ['since', { since: '2026-01-01' }],
    ['cursor', { cursor: 'forgotten' }],
    ['status', { status: 'open' }],
  ])('are not told to be none where %s cannot be meant: %j', (field, query) => {
    const { engine } = live(smallSim());
    const asked = () => engine.sagas(query);
    expect(asked).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
    expect(asked).toThrow(expect.objectContaining({ issues: [expect.objectContaining({ path: [field] })] }));
  });

  test('that come while pages are read are in none, and no other is left out or told twice', async () => {
    const { engine, journal } = live(smallSim());
    const row = { operation: 'copy', planVersion: 1, address: '', request: {}, plan: {} };
    const begin = (at: number) => journal.begin({ ...row, id: `s${at}`, vm: `s${at}` });
    for (let at = 0; at < 6; at += 1) begin(at);
    const first = engine.sagas({ limit: 2 });
    begin(6);
    const second = engine.sagas({ limit: 2, ...(first.next === undefined ? {} : { cursor: first.next }) });
    begin(7);
    const third = engine.sagas({ limit: 2, ...(second.next === undefined ? {} : { cursor: second.next }) });
    expect([first, second, third].flatMap(({ sagas }) => sagas.map(({ id }) => id))).toEqual([
      's5',
      's4',
      's3',
      's2',
      's1',
      's0',
    ]);
    expect(third.next).toBeUndefined();
  });

  test('are told apart by whether they wait, and keep their metadata', async () => {
    const sim = smallSim();
    const { engine, guest, journal } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, ...REQUEST, finish: 'leave' }));
    expect(engine.sagas({ state: 'waiting' }).sagas).toEqual([]);
    expect(engine.saga('s')).toBe(saga);
    await sim.run(saga.until('ready'));
    const other = createEngine({ journal, clock: sim.clock });
    expect(other.sagas({ state: 'waiting' }).sagas).toMatchObject([
      { id: 's', vm: 'web', state: 'waiting', metadata: { task: '4711' } },
    ]);
    await sim.run(saga.abort());
    expect(other.sagas({ state: 'rolledBack' }).sagas).toHaveLength(1);
    expect([other.saga('s')?.metadata, other.saga('none')]).toEqual([{ task: '4711' }, undefined]);
  });
});

describe('what is heard of a saga', () => {
  test('has time, VM, phase and metadata, with rate and rest of each disk, also for those who come late', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, ...REQUEST, bandwidth: 2 ** 20, finish: 'leave' }));
    const heard: SagaNotice[] = [];
    saga.subscribe(notice => heard.push(notice));
    await sim.run(saga.until('ready'));
    const late: SagaNotice[] = [];
    saga.subscribe(notice => late.push(notice));
    const progress = late.filter(notice => notice.type === 'progress');
    expect(progress.map(({ disk }) => disk).toSorted()).toEqual(['dev0', 'dev1']);
    await sim.run(saga.pivot());
    for (const notice of heard)
      expect(notice).toMatchObject({ saga: 's', vm: 'web', metadata: { task: '4711' }, replayed: false });
    expect([...new Set(heard.map(({ phase }) => phase))]).toEqual(
      expect.arrayContaining(['preparing', 'mirroring', 'waiting', 'paused', 'cleaningUp', 'ended']),
    );
    const rates = heard.flatMap(notice => (notice.type === 'progress' ? [notice.bytesPerSecond ?? 0] : []));
    expect(Math.max(...rates)).toBeGreaterThan(2 ** 19);
    expect(heard.filter(({ guestPaused }) => guestPaused).length).toBeGreaterThan(0);
  });

  test('after a resume says what is only replayed', async () => {
    const sim = smallSim();
    const first = live(sim);
    const saga = await sim.run(first.engine.copy({ ...first.guest, ...REQUEST, finish: 'leave' }));
    saga.ended.catch(() => undefined);
    await sim.run(saga.until('ready'));
    const next = live(sim, first.die());
    const again = await sim.run(next.engine.resume('s', { ...next.guest, signal: 'pivot' }));
    const heard: SagaNotice[] = [];
    again.subscribe(notice => heard.push(notice));
    await sim.run(again.ended);
    const states = (replayed: boolean) =>
      heard.flatMap(notice =>
        notice.type === 'event' && notice.replayed === replayed ? [notice.state] : [],
      );
    expect(states(true)).toContain('preparing.markQemu');
    expect(states(false)).toContain('switching.pauseGuest');
    expect(states(true)).not.toContain('switching.pauseGuest');
  });

  test('in another process are the same states, until its end', async () => {
    const sim = smallSim();
    const { engine, guest, journal } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, ...REQUEST }));
    const here: string[] = [];
    saga.subscribe(notice => notice.type === 'event' && here.push(notice.state));
    const there = createEngine({ journal, clock: sim.clock }).saga('s');
    const heard = (async () => {
      const states: string[] = [];
      for await (const notice of there ?? []) if (notice.type === 'event') states.push(notice.state);
      return states;
    })();
    await sim.run(Promise.all([saga.result, heard]));
    expect(await heard).toEqual(here);
  });
});

test('a request that is aborted before it is begun, or while it runs, leaves nothing', async () => {
  const sim = smallSim();
  const { engine, guest, journal } = live(sim);
  const early = AbortSignal.abort();
  expect((await rejection(engine.copy({ ...guest, ...REQUEST, signal: early }))).code).toBe('ABORTED');
  expect(journal.sagas()).toEqual([]);
  const asked = new AbortController();
  const { signal } = asked;
  const saga = await sim.run(engine.copy({ ...guest, ...REQUEST, bandwidth: 1024, signal }));
  asked.abort();
  expect(await sim.run(saga.result)).toMatchObject({ outcome: 'rolledBack', error: { code: 'ABORTED' } });
});
