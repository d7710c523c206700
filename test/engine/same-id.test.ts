/** An id is a key: the same request under it gives the same saga, in every state and from any process; another is refused. */
import { describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine/engine.ts';

import { type MemoryJournal, memoryJournal } from '../../src/journal/memory.ts';
import type { CopyRequest } from '../../src/operations/requests.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { entered, type Life, live, rejection, smallSim } from './lives.ts';

const DISKS = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));
const REQUEST: CopyRequest = { id: 's', vm: 'web', disks: DISKS };

const copy = (sim: Sim, { engine, guest }: Pick<Life, 'engine' | 'guest'>, more: Partial<CopyRequest> = {}) =>
  sim.run(engine.copy({ ...guest, ...REQUEST, ...more }));

/** Another process on the same journal, which does not see the first one's QEMU. */
function other(sim: Sim, { journal, guest }: Life): Pick<Life, 'engine' | 'guest'> {
  const refuse = () => Promise.reject(new Error('its monitor must not be needed'));
  return { engine: createEngine({ journal, clock: sim.clock }), guest: { ...guest, qmp: refuse } };
}

describe('the same request under one id gives its saga', () => {
  test('while it is being planned', async () => {
    const sim = smallSim();
    const life = live(sim);
    const request = { ...life.guest, ...REQUEST };
    const [one, two] = await sim.run(Promise.all([life.engine.copy(request), life.engine.copy(request)]));
    expect(two).toBe(one);
    expect((await sim.run(one.result)).outcome).toBe('committed');
  });

  test('while it runs, here and in another process', async () => {
    const sim = smallSim();
    const life = live(sim);
    const saga = await copy(sim, life, { bandwidth: 2 ** 20 });
    await sim.run(entered(saga, 'mirrorDisks'));
    expect(await copy(sim, life, { bandwidth: 2 ** 20 })).toBe(saga);
    const there = await copy(sim, other(sim, life), { bandwidth: 2 ** 20 });
    expect(there.id).toBe('s');
    expect(await sim.run(there.result)).toEqual(await sim.run(saga.result));
  });

  test('while it waits, and from there it can be switched', async () => {
    const sim = smallSim();
    const life = live(sim);
    const saga = await copy(sim, life, { finish: 'leave' });
    await sim.run(saga.until('ready'));
    const there = await copy(sim, other(sim, life), { finish: 'leave' });
    expect((await sim.run(there.until('ready'))).outcome).toBe('ready');
    expect((await sim.run(there.pivot())).outcome).toBe('committed');
    expect((await sim.run(saga.ended)).outcome).toBe('committed');
  });

  test('when it ends elsewhere while it is about to be resumed', async () => {
    const sim = smallSim();
    const life = live(sim);
    const saga = await copy(sim, life);
    const open = life.journal.saga('s');
    const result = await sim.run(saga.result);
    let isSeized = false;
    const journal: MemoryJournal = {
      ...life.journal,
      saga: id => (isSeized ? life.journal.saga(id) : open),
      takeOver: (...asked) => {
        isSeized = true;
        return life.journal.takeOver(...asked);
      },
    };
    const there = await copy(sim, other(sim, { ...life, journal }));
    expect(await there.result).toEqual(result);
    expect(isSeized).toBe(true);
  });

  test('when it has ended, also rolled back, also in another process', async () => {
    for (const finish of ['pivot', 'abort'] as const) {
      const sim = smallSim();
      const life = live(sim);
      const result = await sim.run((await copy(sim, life, { finish })).result);
      for (const process of [life, other(sim, life)])
        expect(await (await copy(sim, process, { finish })).result).toEqual(result);
      expect(life.journal.sagas()).toHaveLength(1);
    }
  });

  test('when it needs recovery', async () => {
    const sim = smallSim();
    const life = live(sim, undefined, { onCommit: () => Promise.reject(new Error('away')) });
    const result = await sim.run((await copy(sim, life)).result);
    expect(result.outcome).toBe('needsRecovery');
    expect(await (await copy(sim, life)).result).toEqual(result);
  });

  test('when its process has died, and goes on with it', async () => {
    const sim = smallSim();
    const life = live(sim);
    await sim.run(entered(await copy(sim, life, { bandwidth: 2 ** 20 }), 'mirrorDisks'));
    const next = live(sim, life.die());
    const again = await copy(sim, next, { bandwidth: 2 ** 20 });
    expect((await sim.run(again.result)).outcome).toBe('committed');
    expect(next.journal.sagas()).toHaveLength(1);
  });

  test('when two processes submit it at one instant', async () => {
    const sim = smallSim();
    const journal = memoryJournal(undefined, { clock: sim.clock });
    const engines = [1, 2].map(() => createEngine({ journal, clock: sim.clock }));
    const asked = engines.map((engine, at) =>
      engine.copy({ ...REQUEST, qmp: sim.monitor(`monitor${at}`), files: sim.files }),
    );
    const sagas = await sim.run(Promise.all(asked));
    const [one, two] = await sim.run(Promise.all(sagas.map(saga => saga.result)));
    expect(one).toEqual(two);
    expect([one?.outcome, journal.sagas().length]).toEqual(['committed', 1]);
  });

  test('with other metadata, which does not count', async () => {
    const sim = smallSim();
    const life = live(sim);
    const saga = await copy(sim, life, { metadata: { request: '1' } });
    expect(await copy(sim, life, { metadata: { request: '2' } })).toBe(saga);
    expect(saga.metadata).toEqual({ request: '1' });
    await sim.run(saga.result);
  });
});

describe('the same request under one id, said in another way', () => {
  const SAID: Readonly<Record<string, Partial<CopyRequest>>> = {
    'its fields in another order': { disks: DISKS.map(({ disk, to }) => ({ to, disk })), vm: 'web', id: 's' },
    'a default that is said': { finish: 'pivot', parallel: 2, strategy: 'auto', bandwidth: 0 },
    'a default of a disk that is said': { disks: DISKS.map(disk => ({ ...disk, shallow: false })) },
    'what is undefined': { maxBlackoutMs: undefined },
  };

  test.each(Object.entries(SAID))('is the same: %s', async (_, more) => {
    for (const [first, second] of [
      [{}, more],
      [more, {}],
    ] as const) {
      const sim = smallSim();
      const life = live(sim);
      const saga = await copy(sim, life, { ...first, metadata: { task: '1' } });
      expect(await copy(sim, life, second)).toBe(saga);
      const result = await sim.run(saga.result);
      for (const process of [life, other(sim, life)])
        expect(await (await copy(sim, process, second)).result).toEqual(result);
    }
  });

  test('is the same with a raw copy that is asked for by either word, or by both', async () => {
    const words = [{ raw: true }, { format: 'raw' }, { raw: true, format: 'raw' }] as const;
    for (const first of words) {
      const sim = smallSim();
      const life = live(sim);
      const asked = (word: object) => ({ disks: DISKS.map(disk => ({ ...disk, ...word })) });
      const saga = await copy(sim, life, asked(first));
      for (const word of words) expect(await copy(sim, life, asked(word))).toBe(saga);
      const other = { ...life.guest, ...REQUEST, ...asked({ format: 'qcow2' }) };
      expect((await rejection(life.engine.copy(other))).code).toBe('ID_CONFLICT');
      expect((await sim.run(saga.result)).outcome).toBe('committed');
    }
  });

  test('is the same in a group', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const member = { ...guest, vm: 'web', disks: [{ disk: 'dev0', overlay: '/images/over.qcow2' }] };
    const group = await sim.run(engine.group([member], { id: 'g' }));
    const { outcome } = await sim.run(group.result);
    const said = {
      ...member,
      maxBlackoutMs: 1_000,
      disks: member.disks.map(disk => ({ ...disk, reuse: false })),
    };
    expect((await sim.run((await engine.group([said], { id: 'g' })).result)).outcome).toBe(outcome);
    const less = { ...member, maxBlackoutMs: 500 };
    expect((await rejection(engine.group([less], { id: 'g' }))).code).toBe('ID_CONFLICT');
  });
});

describe('another request under the same id is ID_CONFLICT', () => {
  test.each(['running', 'ended'] as const)('when the first is %s', async state => {
    const sim = smallSim();
    const life = live(sim);
    const saga = await copy(sim, life, { bandwidth: 2 ** 20 });
    if (state === 'ended') await sim.run(saga.result);
    for (const process of [life, other(sim, life)])
      expect((await rejection(copy(sim, process, { parallel: 1 }))).code).toBe('ID_CONFLICT');
    await sim.run(saga.result);
  });
});

describe('a saga that is in the way is VM_BUSY at once, with its id and operation', () => {
  const blockedBy = { saga: 's', operation: 'copy' };

  test('where the VM is named, before the monitor is opened', async () => {
    const sim = smallSim();
    const life = live(sim);
    const saga = await copy(sim, life, { finish: 'leave' });
    await sim.run(saga.result);
    const { engine, guest } = other(sim, life);
    const atMs = sim.clock.now();
    const error = await rejection(sim.run(engine.copy({ ...guest, vm: 'web', disks: DISKS })));
    expect([error.code, error.blockedBy, error.toJSON().blockedBy]).toEqual([
      'VM_BUSY',
      blockedBy,
      blockedBy,
    ]);
    expect(sim.clock.now() - atMs).toBeLessThan(1);
    await sim.run(saga.abort());
  });

  test('where the monitor is the one that it speaks through', async () => {
    const sim = smallSim();
    const life = live(sim);
    const saga = await copy(sim, life, { finish: 'leave' });
    await sim.run(saga.result);
    const request = { ...life.guest, disks: DISKS };
    const atMs = sim.clock.now();
    for (const attempt of ['copy', 'planCopy'] as const) {
      const error = await rejection(sim.run<unknown>(life.engine[attempt](request)));
      expect([error.code, error.blockedBy]).toEqual(['VM_BUSY', blockedBy]);
    }
    expect(sim.clock.now() - atMs).toBeLessThan(1);
    await sim.run(saga.abort());
  });

  test('where the journal knows the address, whichever way it is written', async () => {
    const sim = smallSim();
    const { journal, engine } = live(sim);
    const row = { operation: 'copy', planVersion: 1, request: {}, plan: {}, vm: 'a' };
    journal.begin({ ...row, id: 's', address: '/run/a.qmp' });
    for (const qmp of ['/run/a.qmp', 'unix:/run/a.qmp']) {
      const error = await rejection(engine.copy({ qmp, disks: DISKS }));
      expect([error.code, error.blockedBy]).toEqual(['VM_BUSY', blockedBy]);
    }
  });
});
