/** An engine that is closed: no guest stays paused, no saga is lost, and the next process goes on with all of them at once. */
import { describe, expect, test } from 'vitest';
import { beginGroup } from '../../src/engine/durable/group-register.ts';
import { createEngine } from '../../src/engine/engine.ts';
import { areGuestsHeld } from '../../src/engine/running/last-resort.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { CopyRequest } from '../../src/operations/requests.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import { createSim, type Sim } from '../../src/sim/create-sim.ts';
import { live, rejection, smallSim } from './lives.ts';

const DISKS = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));
const REQUEST: CopyRequest = { id: 's', vm: 'web', disks: DISKS };
const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const NEW = DISKS.map(({ to }) => to);
const fronts = (sim: Sim) => sim.world.fronts().map(({ path }) => path);

/** How many notices an undisturbed saga has, and the states. */
async function statesOf(more: Partial<CopyRequest>): Promise<readonly string[]> {
  const sim = smallSim();
  const { engine, guest } = live(sim);
  const states: string[] = [];
  const saga = await sim.run(engine.copy({ ...guest, ...REQUEST, ...more }));
  saga.subscribe(notice => notice.type === 'event' && states.push(notice.state));
  await sim.run(saga.result);
  return states;
}

describe.each<readonly [string, Partial<CopyRequest>]>([
  ['by reopening', {}],
  ['by finalizing', { strategy: 'finalize' }],
  ['one by one', { strategy: 'complete' }],
])('a copy that switches %s, whose engine is closed', (_, more) => {
  test('in each state in turn: its guest runs at once, and the next process ends it', async () => {
    const states = await statesOf(more);
    expect(states.length).toBeGreaterThan(5);
    for (const state of states) {
      for (const delayMs of [0, 0.06, 0.6]) {
        const at = `${state} + ${delayMs}`;
        const sim = smallSim();
        const { engine, guest, journal } = live(sim);
        const saga = await sim.run(engine.copy({ ...guest, ...REQUEST, ...more }));
        const ended = saga.ended.then(
          ({ outcome }) => outcome,
          error => error.code,
        );
        let closed: Promise<void> | undefined;
        saga.subscribe(notice => {
          if (notice.type === 'event' && notice.state === state)
            closed ??= sim.clock.now() < 0 ? undefined : later(sim, delayMs).then(() => engine.close());
        });
        await sim.run(ended.then(() => closed));
        expect([sim.world.running, areGuestsHeld()], at).toEqual([true, false]);
        const told = await ended;
        expect(['CLOSED', 'committed'], at).toContain(told);
        if (told === 'committed') continue;
        const next = createEngine({ journal, clock: sim.clock });
        const again = await sim.run(next.resume('s', guest));
        expect((await sim.run(again.result)).outcome, at).toBe('committed');
        expect(fronts(sim), at).toEqual(NEW);
        expect(sim.world.running, at).toBe(true);
      }
    }
  });
});

function later(sim: Sim, delayMs: number): Promise<void> {
  return new Promise(resolve => void sim.clock.after(delayMs, resolve));
}

describe('closing an engine', () => {
  test('takes no new sagas, and gives what has ended', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    await sim.run(engine.close());
    expect((await rejection(engine.copy({ ...guest, ...REQUEST }))).code).toBe('CLOSED');
    expect((await rejection(engine.resume('s'))).code).toBe('CLOSED');
    await sim.run(engine.close());
  });

  test('leaves mirrors that wait at READY to the next process, which switches to them', async () => {
    const sim = smallSim();
    const { engine, guest, journal } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, ...REQUEST, finish: 'leave' }));
    await sim.run(saga.until('ready'));
    await sim.run(engine.close({ drain: 60_000 }));
    expect((await rejection(saga.ended)).code).toBe('CLOSED');
    const again = await sim.run(
      createEngine({ journal, clock: sim.clock }).resume('s', { ...guest, signal: 'pivot' }),
    );
    expect((await sim.run(again.ended)).outcome).toBe('committed');
  });

  test('waits for those that come to their end in the time that it is given', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, ...REQUEST }));
    await sim.run(engine.close({ drain: 600_000 }));
    expect((await saga.result).outcome).toBe('committed');
  });

  test('stops waiting when its signal is aborted', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, ...REQUEST, bandwidth: 1024 }));
    const asked = new AbortController();
    const closed = engine.close({ drain: 86_400_000, signal: asked.signal });
    await sim.advance(1_000);
    asked.abort();
    await sim.run(closed);
    expect((await rejection(saga.result)).code).toBe('CLOSED');
    expect(fronts(sim)).toEqual(OLD);
  });

  test('again, in a hurry, ends the time that it had been given', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, ...REQUEST, bandwidth: 1024 }));
    const closed = engine.close({ drain: 86_400_000 });
    await sim.advance(1_000);
    const atMs = sim.clock.now();
    await sim.run(Promise.all([engine.close(), closed]));
    expect(sim.clock.now() - atMs).toBeLessThan(100);
    expect((await rejection(saga.result)).code).toBe('CLOSED');
  });

  test.each([Number.NaN, -1, 0])('with a drain of %d waits for none', async drain => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    await sim.run(engine.copy({ ...guest, ...REQUEST, bandwidth: 1024 }));
    const atMs = sim.clock.now();
    await sim.run(engine.close({ drain }));
    expect(sim.clock.now() - atMs).toBeLessThan(100);
  });

  test('while one is still being planned ends that, or lets go of it', async () => {
    for (let delayMs = 0; delayMs < 3; delayMs += 0.1) {
      const sim = smallSim();
      const { engine, guest, journal } = live(sim);
      const asked = engine.copy({ ...guest, ...REQUEST }).then(
        saga =>
          saga.result.then(
            ({ outcome }) => outcome,
            error => error.code,
          ),
        error => error.code,
      );
      await sim.advance(delayMs);
      await sim.run(engine.close());
      expect(['CLOSED']).toContain(await sim.run(asked));
      expect(journal.sagas().length).toBeLessThan(2);
      expect(sim.world.running).toBe(true);
    }
  });

  test('is done by leaving its block', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const outer = await (async () => {
      await using closing = engine;
      const saga = await sim.run(closing.copy({ ...guest, ...REQUEST, finish: 'leave' }));
      await sim.run(saga.until('ready'));
      return saga;
    })();
    expect((await rejection(outer.ended)).code).toBe('CLOSED');
  });

  test('of thousands of sagas lets go of all of them', async () => {
    const clock = createSim({ disks: 1 }).clock;
    const journal = memoryJournal(undefined, { clock });
    const engine = createEngine({ journal, clock });
    const sims = Array.from({ length: 50 }, () => createSim({ disks: 1, clock }));
    const [first] = sims;
    if (first === undefined) throw new Error('there is one');
    const sagas = sims.map((sim, at) =>
      engine.copy({
        ...{ qmp: sim.connect, files: sim.files, vm: `vm${at}`, finish: 'leave' },
        disks: sim.world.fronts().map(({ node }) => ({ disk: node, to: `/images/new-${node}.qcow2` })),
      }),
    );
    const all = await first.run(Promise.all(sagas));
    await first.run(Promise.all(all.map(saga => saga.until('ready'))));
    await first.run(engine.close());
    expect(journal.sagas({ state: 'open' }).every(({ holder }) => holder.pid === 0)).toBe(true);
  });
});

/** Monitors that cannot be asked: what is sent is never answered, and what is opened never opens. */
const DEAF: Readonly<Record<string, Connect>> = {
  'does not answer': async () => ({ send: () => undefined, close: () => undefined }),
  'does not open': () => new Promise<never>(() => undefined),
};

describe.each(Object.entries(DEAF))('a monitor that %s', (_, qmp) => {
  test('holds up no end of its engine, nor a caller that has given up', async () => {
    const sim = smallSim();
    const { engine } = live(sim);
    const request = { qmp, files: sim.files, ...REQUEST };
    const given = new AbortController();
    const asked = [
      engine.copy(request),
      engine.copy({ ...request, id: 't', vm: 'other', signal: given.signal }),
      engine.planCopy({ ...request, vm: 'third', signal: given.signal }),
    ].map(rejection);
    await sim.advance(5);
    const atMs = sim.clock.now();
    given.abort();
    await sim.run(Promise.all([asked[1], asked[2]]));
    await sim.run(engine.close());
    expect(sim.clock.now() - atMs).toBeLessThan(100);
    expect((await Promise.all(asked)).map(({ code }) => code)).toEqual(['CLOSED', 'ABORTED', 'ABORTED']);
  });

  test('does so at no saga that is resumed, which stays for the next process', async () => {
    const sim = smallSim();
    const first = live(sim);
    const saga = await sim.run(first.engine.copy({ ...first.guest, ...REQUEST, finish: 'leave' }));
    await sim.run(saga.until('ready'));
    const { engine, journal } = live(sim, first.die());
    const asked = rejection(engine.resume('s', { qmp, files: sim.files }));
    await sim.advance(5);
    const atMs = sim.clock.now();
    await sim.run(engine.close());
    expect(sim.clock.now() - atMs).toBeLessThan(100);
    expect((await asked).code).toBe('CLOSED');
    expect(journal.saga('s')).toMatchObject({ state: 'open', holder: { pid: 0 } });
    const next = createEngine({ journal, clock: sim.clock });
    const again = await sim.run(next.resume('s', { ...first.guest, qmp: sim.connect, signal: 'pivot' }));
    expect((await sim.run(again.ended)).outcome).toBe('committed');
  });

  test('is waited for within a bound where nothing ends that', async () => {
    const sim = smallSim();
    const error = await rejection(sim.run(live(sim).engine.copy({ qmp, files: sim.files, ...REQUEST })));
    expect(error.code).toBe('QMP_CONNECT');
    expect(sim.clock.now()).toBeLessThan(60_000);
  });
});

describe('an engine that is closed does not wait', () => {
  test('for a QEMU that is deaf from the beginning of its saga on; the next process goes on with that', async () => {
    const sim = smallSim();
    const { engine, guest, journal } = live(sim);
    const deaf: Connect = async handlers => {
      const { send, close } = await guest.qmp(handlers);
      return { send: messages => journal.saga('s') === undefined && send(messages), close };
    };
    const asked = rejection(engine.copy({ ...guest, qmp: deaf, ...REQUEST }));
    await sim.advance(5);
    expect(journal.saga('s')?.state).toBe('open');
    const atMs = sim.clock.now();
    await sim.run(engine.close());
    expect(sim.clock.now() - atMs).toBeLessThan(100);
    expect((await asked).code).toBe('CLOSED');
    expect(journal.saga('s')).toMatchObject({ state: 'open', holder: { pid: 0 } });
    await sim.advance(60_000);
    expect(journal.saga('s')?.state).toBe('open');
    const next = createEngine({ journal, clock: sim.clock });
    const again = await sim.run(next.resume('s', { ...guest, qmp: sim.connect }));
    expect((await sim.run(again.ended)).outcome).toBe('committed');
  });

  test('for a process that has begun a group, and none of its members', async () => {
    const sim = smallSim();
    const { engine, guest, journal } = live(sim);
    const member = { ...guest, vm: 'web', disks: [{ disk: 'dev0', overlay: '/images/over.qcow2' }] };
    const request = { id: 'g.0', vm: 'web', disks: member.disks };
    await beginGroup(journal, sim.clock, 'g', ['g.0'], [request]);
    const asked = [engine.resumeGroup('g'), engine.group([member], { id: 'g' })].map(rejection);
    await sim.advance(200);
    const atMs = sim.clock.now();
    await sim.run(engine.close());
    expect(sim.clock.now() - atMs).toBeLessThan(100);
    expect((await Promise.all(asked)).map(({ code }) => code)).toEqual(['CLOSED', 'CLOSED']);
    expect(journal.saga('g')?.state).toBe('open');
  });
});

describe('a journal', () => {
  test('is not closed under a saga that runs with it', async () => {
    const sim = smallSim();
    const { engine, guest, journal } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, ...REQUEST, finish: 'leave' }));
    await sim.run(saga.until('ready'));
    expect(() => journal.close()).toThrow(/sagas of this process run with it \(s\).*engine.close/);
    expect(journal.saga('s')?.state).toBe('open');
    await sim.run(engine.close());
    expect(() => journal.close()).not.toThrow();
  });
});
