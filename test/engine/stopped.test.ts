/** A process that was stopped in the middle of its saga wakes up after another one has taken the saga over. */
import { describe, expect, test } from 'vitest';
import { Fence } from '../../src/engine/connection/fence.ts';
import type { Guest } from '../../src/engine/connection/guest.ts';
import { createEngine } from '../../src/engine/engine.ts';
import type { Saga } from '../../src/engine/running/saga.ts';
import type { Files } from '../../src/images/files.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { Command, QmpClient } from '../../src/qmp/client.ts';
import type { Clock } from '../../src/qmp/clock.ts';
import { onlyTells } from '../../src/qmp/only-tells.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { newSaga, refused, thrownBy } from '../journal/contract.ts';
import { ManualClock } from '../qmp/manual-clock.ts';
import { often, strides } from '../tiers/tier.ts';
import { smallSim } from './lives.ts';

const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];
const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const copied = NEW.map((to, index) => ({ disk: `dev${index}`, to }));
const overlaid = NEW.map((overlay, index) => ({ disk: `dev${index}`, overlay }));

/** One process that is stopped from its n-th message on, until it is woken; nothing of it is lost. */
function stoppable(sim: Sim, stopsAt: number) {
  let heard = 0;
  let stopped = false;
  const held: (() => void)[] = [];
  const sentAwake: Command[] = [];
  const when = (act: () => void) => (stopped ? void held.push(act) : act());
  let woken = false;
  const clock: Clock = {
    now: () => sim.clock.now(),
    epochMs: () => sim.clock.epochMs(),
    after: (delayMs, callback) => sim.clock.after(delayMs, () => when(callback)),
  };
  const qmp: Connect = async handlers => {
    const transport = await sim.connect({
      onMessage: message => {
        heard += 1;
        if (heard === stopsAt) stopped = true;
        when(() => handlers.onMessage(message));
      },
      onClose: reason => when(() => handlers.onClose(reason)),
    });
    return {
      send(messages) {
        for (const message of messages) {
          if (woken) sentAwake.push(message as unknown as Command);
        }
        transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
  return {
    clock,
    guest: { qmp, files: sim.files },
    isStopped: () => stopped,
    wake() {
      woken = true;
      stopped = false;
      for (const act of held.splice(0)) act();
    },
    /** What it has sent since it woke up that may change something. */
    acts: () => sentAwake.filter(command => !onlyTells(command)).map(({ execute }) => execute),
  };
}

const MESSAGES_MAX = 400;
const stoppedAt = strides(8);

/** Stops a process at each message that it gets, has the saga taken over, wakes it; gives how often that was. */
async function stopEverywhere(
  begin: (engine: ReturnType<typeof createEngine>, guest: Guest) => Promise<Saga>,
): Promise<number> {
  let stops = 0;
  for (const behind of stoppedAt(MESSAGES_MAX)) {
    const at = 2 + behind; // what it says before is about QEMU, and no saga has begun
    const sim = smallSim();
    const journal = memoryJournal(undefined, { clock: sim.clock });
    const old = stoppable(sim, at);
    const first = createEngine({ journal, clock: old.clock });
    const began = begin(first, old.guest);
    const outcome = began.then(saga => saga.result).catch((error: unknown) => error);
    for (let waited = 0; waited < 60_000 && !old.isStopped(); waited += 5) await sim.advance(5);
    if (!old.isStopped()) return stops;
    const state = journal.saga('s')?.state;
    if (state === undefined) continue; // it has not begun yet
    stops += 1;
    const where = `stopped at message ${at}, after ${journal.records('s').at(-1)?.step}`;
    if (state === 'open') {
      const second = createEngine({ journal, clock: sim.clock });
      const guest = { qmp: sim.monitor('second'), files: sim.files }; // the first is still held
      const saga = await sim.run(second.resume('s', { ...guest, force: true }));
      expect(await sim.run(saga.result), where).toMatchObject({ outcome: 'committed', error: null });
    }
    const after = [sim.world.qemu, sim.files.list()];
    old.wake();
    await sim.advance(30 * 60_000);
    expect(old.acts(), where).toEqual([]);
    if (state === 'open') expect(await outcome, where).toMatchObject({ code: 'VM_BUSY' });
    expect([sim.world.fronts().map(front => front.path), sim.world.running], where).toEqual([NEW, true]);
    expect([sim.files.list(), after[1]], where).toEqual([[...OLD, ...NEW].sort(), after[1]]);
  }
  throw new Error('the saga does not end');
}

describe('a process that was stopped and has lost its saga changes nothing when it wakes up', () => {
  test.each(['reopen', 'finalize', 'complete'] as const)(
    'wherever it was in a copy by %s',
    async strategy => {
      const stops = await stopEverywhere((engine, guest) =>
        engine.copy({ ...guest, id: 's', vm: 'web', disks: copied, strategy }),
      );
      expect(stops).toBeGreaterThan(often(2, 20));
    },
  );

  test.each(['nothing', 'blockdev-create', 'transaction'])(
    'wherever it was in a snapshot without %s',
    async lacking => {
      const without = lacking === 'nothing' ? [] : [lacking];
      const stops = await stopEverywhere((engine, guest) =>
        engine.snapshot({ ...guest, id: 's', vm: 'web', disks: overlaid, without }),
      );
      expect(stops).toBeGreaterThan(often(0, 5));
    },
  );
});

describe('the fence', () => {
  function fenced() {
    const clock = new ManualClock();
    const journal = memoryJournal(undefined, { clock });
    const lease = journal.begin(newSaga('s1'));
    let asked = 0;
    const counting = {
      ...journal,
      confirm: (each: typeof lease) => {
        asked += 1;
        journal.confirm(each);
      },
    };
    const sent: string[] = [];
    const qmp = {
      execute: async (name: string) => void sent.push(name),
      pipeline: async (commands: readonly { execute: string }[]) =>
        commands.map(({ execute }) => ({ ok: true, value: sent.push(execute) })),
    } as unknown as QmpClient;
    const fence = new Fence({ journal: counting, lease, clock });
    return { clock, journal, fence, sent, client: fence.client(qmp), asked: () => asked };
  }

  test('asks the journal once for what is sent within half a second, and never for what only tells', async () => {
    const { clock, client, sent, asked } = fenced();
    await client.execute('query-status');
    await client.pipeline([{ execute: 'query-jobs' }, { execute: 'qom-list', arguments: { path: '/' } }]);
    expect(asked()).toBe(0);
    await client.execute('stop');
    await client.pipeline([{ execute: 'query-jobs' }, { execute: 'cont' }]);
    expect(asked()).toBe(1);
    await clock.advance(501);
    await client.execute('cont');
    expect([asked(), sent.length]).toEqual([2, 7]);
  });

  test('lets nothing through that changes something once the saga was taken by force, not even a file', async () => {
    const { clock, client, fence, journal, sent } = fenced();
    await client.execute('stop');
    journal.takeOver('s1', { force: true });
    await clock.advance(501);
    const lost = refused('VM_BUSY', /s1 has lost VM/);
    await expect(client.execute('cont')).rejects.toEqual(lost);
    expect(await client.pipeline([{ execute: 'query-jobs' }, { execute: 'cont' }])).toEqual([
      { ok: false, error: lost },
      { ok: false, error: lost },
    ]);
    const files = fence.files({} as Files);
    await expect(files.unlink('/a', '1')).rejects.toEqual(lost);
    await expect(files.createExclusive('/a', '/b', 'c')).rejects.toEqual(lost);
    expect(thrownBy(fence.expectHeld)).toEqual(lost);
    expect(sent).toEqual(['stop']);
  });
});
