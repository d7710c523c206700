/** What a saga's handle bears: listeners that begin others, readers that ask twice, promises that no caller waits for, and objects that are changed. */
import { describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine/engine.ts';
import { BlocksagaError, BrokenAssumption } from '../../src/errors.ts';
import type { Definition, Engine, SagaNotice } from '../../src/index.ts';
import type { CopyRequest } from '../../src/operations/requests.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { type Life, live, rejection, smallSim } from './lives.ts';
import { unhandledRejections } from './unhandled.ts';

const DISKS = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));
const REQUEST: CopyRequest = { id: 's', vm: 'web', disks: DISKS, metadata: { task: '1' } };
const NEW = DISKS.map(({ to }) => to);

const copy = (sim: Sim, { engine, guest }: Pick<Life, 'engine' | 'guest'>, more: Partial<CopyRequest> = {}) =>
  sim.run(engine.copy({ ...guest, ...REQUEST, ...more }));
const statesIn = (notices: readonly SagaNotice[]) =>
  notices.flatMap(notice => (notice.type === 'event' ? [notice.state] : []));

describe('a listener', () => {
  test('that subscribes another one while it is told has that one told everything once', async () => {
    const sim = smallSim();
    const saga = await copy(sim, live(sim));
    const [all, late]: [SagaNotice[], SagaNotice[]] = [[], []];
    saga.subscribe(notice => void all.push(notice));
    saga.subscribe(notice => {
      if (late.length === 0 && notice.phase === 'mirroring') saga.subscribe(each => void late.push(each));
    });
    await sim.run(saga.result);
    expect(statesIn(late)).toEqual(statesIn(all));
  });

  test('that is unsubscribed by one before it hears nothing more', async () => {
    const sim = smallSim();
    const saga = await copy(sim, live(sim));
    const heard: string[] = [];
    let off = () => {};
    saga.subscribe(notice => void (notice.phase === 'mirroring' && off()));
    off = saga.subscribe(notice => void heard.push(notice.phase));
    await sim.run(saga.result);
    expect(heard).not.toContain('mirroring');
  });
});

/** Tries to change everything that it reaches; what is frozen refuses. */
function spoil(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    spoil(member);
    Reflect.set(value, name, typeof member === 'string' ? '/images/theirs.qcow2' : null);
  }
}

describe('an object that is handed out', () => {
  test('is not what the saga works with: its plan, its notices, its metadata', async () => {
    const sim = smallSim();
    const saga = await copy(sim, live(sim));
    const heard = new Set<unknown>();
    saga.subscribe(notice => {
      spoil(notice);
      spoil(saga.plan);
      spoil(saga.metadata);
    });
    saga.subscribe(({ metadata }) => void heard.add(metadata?.['task']));
    const { outcome, disks } = await sim.run(saga.result);
    expect([outcome, disks.map(({ after }) => after?.file)]).toEqual(['committed', NEW]);
    expect(sim.world.fronts().map(({ path }) => path)).toEqual(NEW);
    expect(heard).toEqual(new Set(['1']));
  });

  test('nor is the plan in what an inspector is shown', async () => {
    const sim = smallSim();
    const inspect = (event: object): void => {
      if ('snapshot' in event && typeof event.snapshot === 'object' && event.snapshot !== null)
        if ('context' in event.snapshot) spoil(Reflect.get(Object(event.snapshot.context), 'plan'));
    };
    const saga = await copy(sim, live(sim, undefined, { inspect }));
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    expect(sim.world.fronts().map(({ path }) => path)).toEqual(NEW);
  });

  test('nor what onCommit was told before, when it is told again', async () => {
    const sim = smallSim();
    const told: Definition[] = [];
    const onCommit = async (definition: Definition): Promise<void> => {
      told.push(structuredClone(definition));
      spoil(definition);
      if (told.length < 3) throw new Error('not yet');
    };
    const saga = await copy(sim, live(sim, undefined, { onCommit }));
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    expect(told).toHaveLength(3);
    expect(told[2]).toEqual(told[0]);
    expect(told[0]?.disks.map(({ file }) => file)).toEqual(NEW);
  });
});

describe('a promise that no caller waits for is no unhandled rejection', () => {
  const unhandled = unhandledRejections();
  const settled = () => new Promise(resolve => setTimeout(resolve, 5));

  /** Another process, whose monitor of the guest is one of its own. */
  function other(sim: Sim, { journal }: Life): { readonly engine: Engine; readonly guest: Life['guest'] } {
    const guest = { qmp: sim.monitor('other'), files: sim.files };
    return { engine: createEngine({ journal, clock: sim.clock }), guest };
  }

  test('where the end of a saga cannot be written', async () => {
    const sim = smallSim();
    const { journal, guest } = live(sim);
    const end = () => Promise.reject(new BlocksagaError('JOURNAL', 'the disk is full'));
    const engine = createEngine({ journal: { ...journal, end }, clock: sim.clock });
    const saga = await copy(sim, { engine, guest });
    await sim.advance(600_000);
    await settled();
    expect(unhandled).toEqual([]);
    expect((await rejection(saga.result)).code).toBe('JOURNAL');
    expect((await rejection(saga.ended)).code).toBe('JOURNAL');
  });

  test('where a saga of this process is asked for what it cannot do', async () => {
    const sim = smallSim();
    const life = live(sim);
    const saga = await copy(sim, life, { finish: 'leave' });
    await sim.run(saga.until('ready'));
    const asked = await sim.run(life.engine.resume('s', { signal: 'keepSnapshot' }));
    await settled();
    expect(unhandled).toEqual([]);
    expect((await rejection(asked.result)).code).toBe('SAGA_STATE');
  });

  test('where the process that is asked does not hear', async () => {
    const sim = smallSim();
    const life = live(sim);
    const saga = await copy(sim, life, { finish: 'leave' });
    await sim.run(saga.until('ready'));
    const { engine, guest } = other(sim, { ...life, journal: { ...life.journal, ask: () => 1_000 } });
    const asked = await sim.run(engine.resume('s', { ...guest, signal: 'abort' }));
    await sim.advance(60_000);
    await settled();
    expect(unhandled).toEqual([]);
    expect((await rejection(asked.result)).code).toBe('VM_BUSY');
  });

  test('but a bug of ours is', async () => {
    const sim = smallSim();
    const { journal, guest } = live(sim);
    const bug = new BrokenAssumption('of ours');
    const engine = createEngine({
      journal: { ...journal, end: () => Promise.reject(bug) },
      clock: sim.clock,
    });
    await copy(sim, { engine, guest });
    await sim.advance(600_000);
    await settled();
    expect(unhandled).toContain(bug);
  });
});

describe('who reads a saga one notice after the other', () => {
  test('may ask for several at once', async () => {
    const sim = smallSim();
    const saga = await copy(sim, live(sim));
    const reader = saga[Symbol.asyncIterator]();
    const all = Promise.all(Array.from({ length: 100 }, () => reader.next()));
    await sim.run(saga.result);
    const read = await sim.run(all);
    const states = read.flatMap(({ value }) => (value?.type === 'event' ? [value.state] : []));
    expect(states).toEqual(expect.arrayContaining(['preparing.claimFiles', 'committed']));
    expect(new Set(states).size).toBe(states.length);
    expect(read.at(-1)?.done).toBe(true);
  });

  test('may stop, with a question still open', async () => {
    const sim = smallSim();
    const saga = await copy(sim, live(sim), { finish: 'leave' });
    await sim.run(saga.until('ready'));
    const reader = saga[Symbol.asyncIterator]();
    const asked = Array.from({ length: 100 }, () => reader.next());
    await reader.return?.();
    expect((await sim.run(Promise.all(asked))).at(-1)?.done).toBe(true);
    expect((await sim.run(saga.abort())).outcome).toBe('rolledBack');
  });
});

describe('a saga that has ended', () => {
  test('tells its states again from the journal, to each who asks', async () => {
    for (const finish of ['pivot', 'abort'] as const) {
      const sim = smallSim();
      const life = live(sim);
      const saga = await copy(sim, life, { finish });
      const heard: SagaNotice[] = [];
      saga.subscribe(notice => void heard.push(notice));
      const { outcome } = await sim.run(saga.result);
      const known = life.engine.saga('s');
      const [told, read]: [SagaNotice[], SagaNotice[]] = [[], []];
      known?.subscribe(notice => void told.push(notice));
      for await (const notice of known ?? []) read.push(notice);
      expect(told).toEqual(read);
      expect(statesIn(told).at(-1)).toBe(outcome);
      expect(statesIn(heard)).toEqual(expect.arrayContaining(statesIn(told)));
      expect(statesIn(told).length).toBeGreaterThan(5);
      expect(told.every(({ guestPaused, phase }) => phase !== 'ended' || !guestPaused)).toBe(true);
    }
  });

  test('is so for the same request again, too', async () => {
    const sim = smallSim();
    const life = live(sim);
    await sim.run((await copy(sim, life)).result);
    const states: string[] = [];
    (await copy(sim, life)).subscribe(notice => void (notice.type === 'event' && states.push(notice.state)));
    expect(states).toContain('switching.pauseGuest');
  });
});
