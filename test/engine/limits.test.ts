/** Limits over all sagas of an engine: how many disks copy at once, what they may take together, and that those which wait can be asked. */
import { describe, expect, test } from 'vitest';
import { Limits } from '../../src/engine/limits.ts';
import {
  createEngine,
  type Engine,
  type LimitOptions,
  memoryJournal,
  type Saga,
  type SagaNotice,
} from '../../src/index.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import { createSim, createVirtualClock, type Sim } from '../../src/sim/index.ts';
import { refused } from '../journal/contract.ts';

const KIB = 1024;

/** A disk of the simulator holds 128 KiB, of which a mirror has 64 at once: each takes two seconds. */
const SLOW = { copyBytesPerMs: 32 };

interface Guests {
  readonly sims: readonly [Sim, Sim];
  readonly engine: Engine;
  /** By saga: what was heard. */
  readonly heard: Map<string, SagaNotice[]>;
  /** The most disks that copied at once, of all sagas. */
  most(): number;
  copy(id: string, of: Sim, more?: object): Promise<Saga>;
}

/** Two guests with two disks each on one clock, and one engine. */
function guests(limits: LimitOptions, journal = memoryJournal()): Guests {
  const clock = createVirtualClock();
  const sims = [
    createSim({ clock, disks: 2, seed: 1, timing: SLOW }),
    createSim({ clock, disks: 2, seed: 2, timing: SLOW }),
  ] as const;
  const engine = createEngine({ journal, clock, limits });
  const heard = new Map<string, SagaNotice[]>();
  const copying = new Set<string>();
  let most = 0;
  return {
    ...{ sims, engine, heard },
    most: () => most,
    async copy(id, sim, more = {}) {
      const disks = sim.world
        .fronts()
        .map(({ node }, at) => ({ disk: node, to: `/images/${id}-${at}.qcow2` }));
      const saga = await sim.run(
        engine.copy({ id, vm: id, qmp: sim.connect, files: sim.files, disks, ...more }),
      );
      const notices: SagaNotice[] = [];
      heard.set(id, notices);
      saga.subscribe(notice => {
        notices.push(notice);
        if (notice.type !== 'progress') return;
        if (notice.status === 'running') copying.add(`${id} ${notice.disk}`);
        else copying.delete(`${id} ${notice.disk}`);
        most = Math.max(most, copying.size);
      });
      return saga;
    },
  };
}

const phasesOf = (notices: readonly SagaNotice[] = []) => [...new Set(notices.map(({ phase }) => phase))];

describe('copies at once', () => {
  test.each([
    ['in all', { all: { copies: 1 } }, {}, 1],
    ['per host', { perHost: { copies: 1 } }, { host: 'host7' }, 1],
    ['per host, of guests on two', { perHost: { copies: 1 } }, undefined, 2],
    ['per target', { perTarget: { copies: 1 } }, {}, 1],
    ['without limits', {}, {}, 4],
  ] as const)('%s', async (_, limits, more, most) => {
    const all = guests(limits);
    const [one, two] = all.sims;
    const first = await all.copy('first', one, more ?? { host: 'a' });
    const second = await all.copy('second', two, more ?? { host: 'b' });
    const results = await one.run(Promise.all([first.result, second.result]));
    expect(results.map(({ outcome }) => outcome)).toEqual(['committed', 'committed']);
    expect(all.most()).toBe(most);
    const isQueued = phasesOf(all.heard.get('second')).includes('queued');
    expect(isQueued).toBe(most < 4);
  });

  test('a saga that waits can be aborted, and leaves nothing', async () => {
    const all = guests({ all: { copies: 1 } });
    const [one, two] = all.sims;
    const first = await all.copy('first', one, { bandwidth: KIB });
    const second = await all.copy('second', two);
    await one.advance(2_000);
    expect(all.heard.get('second')?.at(-1)).toMatchObject({ phase: 'queued', status: 'queued' });
    const back = await two.run(second.abort());
    expect(back).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(two.files.list().filter(file => file.includes('second'))).toEqual([]);
    await one.run(first.setSpeed(0));
    expect((await one.run(first.result)).outcome).toBe('committed');
  });

  test('a saga that waits is found waiting again by the next process', async () => {
    const journal = memoryJournal();
    const all = guests({ all: { copies: 1 } }, journal);
    const [one, two] = all.sims;
    await all.copy('first', one, { bandwidth: KIB });
    await all.copy('second', two);
    await one.advance(2_000);
    const state = journal.snapshot();
    // The process dies: its connections break, and the next one has the journal alone.
    const next = createEngine({
      ...{ journal: memoryJournal(state), clock: one.clock, limits: { all: { copies: 1 } } },
    });
    await one.run(all.engine.close());
    const first = await one.run(next.resume('first', { qmp: one.connect, files: one.files }));
    const second = await one.run(next.resume('second', { qmp: two.connect, files: two.files }));
    const heard: SagaNotice[] = [];
    second.subscribe(notice => heard.push(notice));
    await one.advance(3_000);
    expect(heard.at(-1)).toMatchObject({ phase: 'queued' });
    await one.run(first.setSpeed(0));
    const results = await one.run(Promise.all([first.result, second.result]));
    expect(results.map(({ outcome }) => outcome)).toEqual(['committed', 'committed']);
  });

  test('a saga that fails lets the next one begin', async () => {
    const all = guests({ all: { copies: 1 } });
    const [one, two] = all.sims;
    const first = await all.copy('first', one, { bandwidth: KIB });
    const second = await all.copy('second', two);
    await one.advance(1_000);
    one.kill();
    expect((await two.run(second.result)).outcome).toBe('committed');
    expect((await one.run(first.result)).outcome).toBe('needsRecovery');
  });
});

test('bandwidth is shared equally, and what one does not take any more is taken by the others', async () => {
  const all = guests({ all: { bandwidth: 12 * KIB } });
  const [one, two] = all.sims;
  const watchers = await one.run(
    Promise.all(all.sims.map(sim => openQmpClient(sim.monitor('watcher'), { clock: sim.clock }))),
  );
  const speeds = async () => {
    await one.advance(600);
    const jobs = await one.run(Promise.all(watchers.map(watcher => watcher.execute('query-block-jobs'))));
    return jobs.flat().map(({ ready, speed }) => (ready ? 'ready' : speed));
  };
  const first = await all.copy('first', one);
  expect(await speeds()).toEqual([6 * KIB, 6 * KIB]);
  const second = await all.copy('second', two, { bandwidth: 2 * KIB });
  // A request's own limit is below its share, and what it leaves is not given to others.
  expect(await speeds()).toEqual([3 * KIB, 3 * KIB, 2 * KIB, 2 * KIB]);
  expect((await one.run(first.result)).outcome).toBe('committed');
  await one.run(second.setSpeed(0));
  expect(await speeds()).toEqual([6 * KIB, 6 * KIB]);
  expect((await two.run(second.result)).outcome).toBe('committed');
});

describe('the order of those that wait', () => {
  const disk = (index: number, file: string) => ({ index, file: '', image: { file } });

  test('is that of asking; one that waits for another target is passed over', () => {
    const limits = new Limits({ all: { copies: 2 }, perTarget: { copies: 1 } });
    const of = (saga: string) => limits.of({ saga, host: 'h', isHere: false });
    const [a, b, c, d] = [of('a'), of('b'), of('c'), of('d')].map(quota => (file: string) => ({
      admit: () => quota.admit(disk(0, file) as never),
      release: () => quota.release(disk(0, file) as never),
    }));
    expect(a?.('/x/1').admit()).toBe(true);
    expect(b?.('/x/2').admit()).toBe(false);
    expect(c?.('/y/3').admit()).toBe(true);
    expect(d?.('/z/4').admit()).toBe(false);
    a?.('/x/1').release();
    // The one that asked first is let in first, though the other asks now.
    expect(d?.('/z/4').admit()).toBe(false);
    expect(b?.('/x/2').admit()).toBe(true);
    c?.('/y/3').release();
    expect(d?.('/z/4').admit()).toBe(true);
  });

  test.each([
    { all: { copies: 0 } },
    { all: { copies: Number.NaN } },
    { perHost: { bandwidth: 1.5 } },
    { perVm: { copies: 1 } },
    { perhost: {} },
    { all: null },
    { perTarget: 4 },
    { all: { copies: '4' } },
  ])('%j is refused', limits => {
    expect(() =>
      createEngine({ journal: memoryJournal(), limits: limits as object as LimitOptions }),
    ).toThrow(refused('REQUEST_INVALID', /limits: /));
  });
});
