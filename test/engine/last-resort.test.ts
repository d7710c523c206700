/** What others throw inside of a saga, what we throw ourselves, and a process that must end in the middle of a pause. */
import { afterEach, describe, expect, test } from 'vitest';
import { areGuestsHeld, releaseGuests } from '../../src/engine/running/last-resort.ts';
import { createEngine, type EngineOptions, memoryJournal } from '../../src/index.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import { createSim, type Sim } from '../../src/sim/index.ts';
import { ALL_STEPS } from '../../src/steps/all-steps.ts';

const warnings: Error[] = [];
const hear = (warning: Error) => void warnings.push(warning);

function copyOf(sim: Sim, options: Partial<EngineOptions> = {}, connect: Connect = sim.connect) {
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock, ...options });
  const disks = sim.world.fronts().map(({ node }, at) => ({ disk: node, to: `/images/new${at}.qcow2` }));
  return sim.run(engine.copy({ qmp: connect, files: sim.files, disks }));
}

function isRunning(sim: Sim): boolean {
  return sim.world.running;
}

describe('what others run inside of a saga', () => {
  afterEach(() => {
    process.off('warning', hear);
    warnings.length = 0;
  });

  const fails = () => {
    throw new RangeError('Invalid time value');
  };

  test.each<readonly [string, Partial<EngineOptions>]>([
    ['a listener', {}],
    ['an inspector', { inspect: fails }],
    ['an observer that inspects', { inspect: { next: fails } }],
    ['a listener that rejects', {}],
  ])('%s may throw: the saga commits, and it is said once', async (title, options) => {
    process.on('warning', hear);
    const sim = createSim({ profile: '7.2', disks: 2, seed: 1 });
    const saga = await copyOf(sim, options);
    if (title === 'a listener') saga.subscribe(fails);
    if (title === 'a listener that rejects') saga.subscribe(async () => fails());
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    await new Promise(resolve => setImmediate(resolve));
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('RangeError')]);
  });

  test('a listener that throws does not keep what others are told', async () => {
    const sim = createSim({ profile: '7.2', disks: 1, seed: 1 });
    const saga = await copyOf(sim);
    let heard = 0;
    saga.subscribe(fails);
    saga.subscribe(() => {
      heard += 1;
    });
    await sim.run(saga.result);
    expect(heard).toBeGreaterThan(5);
  });
});

describe('a broken assumption of ours in the pause', () => {
  const { endMirrorsInPlace } = ALL_STEPS;
  const { do: whole } = endMirrorsInPlace;
  afterEach(() => {
    endMirrorsInPlace.do = whole;
  });

  test('crashes when the guest runs again, with the saga left for resume, which ends it', async () => {
    const sim = createSim({ profile: '7.2', disks: 2, seed: 1 });
    const journal = memoryJournal();
    endMirrorsInPlace.do = () => {
      throw new TypeError('reading a member of undefined');
    };
    const saga = await copyOf(sim, { journal });
    await expect(sim.run(saga.result)).rejects.toThrow(TypeError);
    expect([isRunning(sim), areGuestsHeld()]).toEqual([true, false]);
    expect(journal.saga(saga.id)).toMatchObject({
      state: 'needsRecovery',
      result: { error: { code: 'INTERNAL' } },
    });

    endMirrorsInPlace.do = whole;
    const again = await sim.run(
      createEngine({ journal, clock: sim.clock }).resume(saga.id, { qmp: sim.connect, files: sim.files }),
    );
    expect(['committed', 'rolledBack']).toContain((await sim.run(again.result)).outcome);
    expect(isRunning(sim)).toBe(true);
  });
});

describe('a process that must end', () => {
  test('holds no guest while none is paused', async () => {
    const sim = createSim({ profile: '7.2', disks: 1, seed: 1 });
    await sim.run(releaseGuests(sim.clock));
    expect(areGuestsHeld()).toBe(false);
  });

  test('waits for a saga that can leave its pause by itself', async () => {
    const sim = createSim({ profile: '7.2', disks: 2, seed: 1 });
    const saga = await copyOf(sim);
    let released: Promise<boolean> | undefined;
    saga.subscribe(notice => {
      if (notice.type === 'event' && notice.state === 'switching.endMirrorsInPlace')
        released ??= releaseGuests(sim.clock).then(() => isRunning(sim));
    });
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    expect(await sim.run(released ?? Promise.resolve(false))).toBe(true);
  });

  test('has one that is stuck in it begun again from its journal, and the first can do no more', async () => {
    const sim = createSim({ profile: '7.2', disks: 2, seed: 1 });
    const journal = memoryJournal();
    let swallowed = 0;
    // The answers behind the pause never come, as where a handler has thrown in front of them.
    const connect: Connect = async handlers => {
      let isDeaf = false;
      const transport = await sim.connect({
        ...handlers,
        onMessage: message => (isDeaf ? undefined : handlers.onMessage(message)),
        onClose: reason => handlers.onClose(reason),
      });
      return {
        send: messages => {
          const names = JSON.stringify(messages);
          isDeaf ||= swallowed === 0 && names.includes('block-job-cancel');
          if (isDeaf) swallowed += 1;
          transport.send(messages);
        },
        close: () => transport.close(),
      };
    };
    const saga = await copyOf(sim, { journal }, connect);
    const ended = saga.result.catch((error: unknown) => error);
    await sim.run(until(() => swallowed > 0));
    expect([isRunning(sim), areGuestsHeld()]).toEqual([false, true]);
    await sim.run(releaseGuests(sim.clock));
    expect([isRunning(sim), areGuestsHeld()]).toEqual([true, false]);
    expect(await sim.run(ended)).toMatchObject({ code: 'VM_BUSY' });
    expect(new Set(sim.world.fronts().map(({ path }) => path.includes('new'))).size).toBe(1);

    async function until(holds: () => boolean): Promise<void> {
      while (!holds()) await new Promise<void>(resolve => void sim.clock.after(1, resolve));
    }
  });
});
