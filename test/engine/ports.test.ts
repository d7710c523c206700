/** What a caller brings himself, a connection or a journal, may throw anything at any time: no saga and no process is ended by it. */
import { describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine/engine.ts';
import type { CopyRequest } from '../../src/operations/requests.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { often } from '../tiers/tier.ts';
import { live, rejection, smallSim } from './lives.ts';
import { unhandledRejections } from './unhandled.ts';

const DISKS = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));
const REQUEST: CopyRequest = { id: 's', vm: 'web', disks: DISKS };
const theirs = new Error('theirs');

const unhandled = unhandledRejections();
const settled = () => new Promise(resolve => setTimeout(resolve, 2));

/** A connection that counts what it is to send, and throws at the n-th. */
function throwing(sim: Sim, at: number, isSent: boolean) {
  let calls = 0;
  const connect: Connect = async handlers => {
    const transport = await sim.connect(handlers);
    return {
      send(messages) {
        calls += 1;
        if (calls === at && isSent) transport.send(messages);
        if (calls === at) throw theirs;
        transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
  return { connect, calls: () => calls };
}

describe('a connection whose sending throws', () => {
  const outcomeOf = async (at: number, isSent: boolean) => {
    const sim = smallSim();
    const { connect, calls } = throwing(sim, at, isSent);
    const { engine } = live(sim);
    const asked = engine.copy({ qmp: connect, files: sim.files, ...REQUEST });
    const outcome = await sim.run(
      asked.then(
        async saga => (await saga.ended).outcome,
        error => error.code as string,
      ),
    );
    await settled();
    return { outcome, calls: calls(), isRunning: sim.world.running, left: [...sim.world.host.files.keys()] };
  };

  test.each([
    ['before', false],
    ['behind', true],
  ] as const)('once, %s its message is on the way, at any message, is one that broke', async (_, isSent) => {
    const { calls, outcome } = await outcomeOf(0, isSent);
    expect(outcome).toBe('committed');
    for (let at = 1; at <= calls; at += often(3, 1)) {
      const came = await outcomeOf(at, isSent);
      expect(['committed', 'QMP_DISCONNECTED'], `at ${at}`).toContain(came.outcome);
      expect(came.isRunning, `at ${at}`).toBe(true);
      if (came.outcome !== 'committed') expect(came.left.some(file => file.includes('new'))).toBe(false);
    }
    expect(unhandled).toEqual([]);
  });

  test('for ever is refused, or comes to an end', async () => {
    const sim = smallSim();
    const { engine } = live(sim);
    const never: Connect = async () => ({
      send: () => {
        throw theirs;
      },
      close: () => {
        throw theirs;
      },
    });
    const error = await rejection(sim.run(engine.copy({ qmp: never, files: sim.files, ...REQUEST })));
    expect(error.code).toBe('QMP_CONNECT');
    await settled();
    expect(unhandled).toEqual([]);
  });

  test('when it is closed is let go of', async () => {
    const sim = smallSim();
    const { engine } = live(sim);
    const connect: Connect = async handlers => {
      const transport = await sim.connect(handlers);
      const close = () => {
        transport.close();
        throw theirs;
      };
      return { send: messages => transport.send(messages), close };
    };
    const saga = await sim.run(engine.copy({ qmp: connect, files: sim.files, ...REQUEST }));
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    await sim.run(engine.close());
    await settled();
    expect(unhandled).toEqual([]);
  });

  test.each([undefined, null, 7, {}])('is none where it is %j', async given => {
    const sim = smallSim();
    const { engine } = live(sim);
    const qmp = (async () => given) as object as Connect;
    const error = await rejection(sim.run(engine.copy({ qmp, files: sim.files, ...REQUEST })));
    expect(error.code).toBe('QMP_CONNECT');
  });
});

/** Those that a running saga uses, and how each fails. */
const METHODS = ['append', 'appendSync', 'end', 'confirm', 'records', 'begin', 'listen'] as const;
const REJECT: ReadonlySet<string> = new Set(['append', 'end', 'renew', 'release', 'forget']);

describe('a journal of the caller’s own that throws what is no error of ours', () => {
  const broken = (method: string, from: number) => {
    const sim = smallSim();
    const { journal, guest } = live(sim);
    let calls = 0;
    const fail = (...args: unknown[]): unknown => {
      calls += 1;
      if (calls < from) return Reflect.apply(Reflect.get(journal, method), journal, args);
      if (REJECT.has(method)) return Promise.reject(theirs);
      throw theirs;
    };
    const engine = createEngine({ journal: { ...journal, [method]: fail }, clock: sim.clock });
    return { sim, engine, guest };
  };

  test.each(METHODS)('from its %s is one that cannot be read or written', async method => {
    for (const from of [1, 2, 3, 5, 9, 14]) {
      const { sim, engine, guest } = broken(method, from);
      const saga = await sim.run(engine.copy({ ...guest, ...REQUEST }).catch(error => error));
      const error = saga.code === undefined ? await sim.run(saga.ended).catch((why: unknown) => why) : saga;
      // It may have been called less often.
      if (error.outcome !== 'committed') {
        const record = error.outcome === undefined ? error : error.error;
        expect(record, `${method} ${from}`).toMatchObject({ code: 'JOURNAL' });
        expect(record.message, `${method} ${from}`).toContain('theirs');
      }
      expect(sim.world.running, `${method} ${from}`).toBe(true);
      await sim.run(engine.close());
      await settled();
      expect(unhandled, `${method} ${from}`).toEqual([]);
    }
  });

  test.each(['release', 'renew', 'forget'])('from its %s ends no process', async method => {
    const { sim, engine, guest } = broken(method, 1);
    const saga = await sim.run(engine.copy({ ...guest, ...REQUEST, finish: 'leave' }));
    await sim.run(saga.until('ready'));
    await sim.advance(60_000);
    await sim.run(engine.close());
    await settled();
    expect(unhandled).toEqual([]);
  });
});
