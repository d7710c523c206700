/** The journal's disk becomes full in the middle of a saga, at each of its writes: the guest must not pay for that. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/api.ts';
import type { Guest } from '../../src/engine/connection/guest.ts';
import { createEngine } from '../../src/engine/engine.ts';
import { decideOffline } from '../../src/engine/recovery/decide-offline.ts';
import type { Saga } from '../../src/engine/running/saga.ts';
import { BlocksagaError } from '../../src/errors.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { type MemoryJournal, memoryJournal } from '../../src/journal/memory.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { live, smallSim } from './lives.ts';

const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];
const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const copied = NEW.map((to, index) => ({ disk: `dev${index}`, to }));
const overlaid = NEW.map((overlay, index) => ({ disk: `dev${index}`, overlay }));

/** Takes `writes` writes, and none after that. */
function filling(journal: MemoryJournal, writes: number): { readonly journal: Journal; isFull(): boolean } {
  let left = writes;
  let full = false;
  const take = () => {
    left -= 1;
    if (left >= 0) return;
    full = true;
    throw new BlocksagaError('JOURNAL', 'the disk is full: free some space', { effect: 'notApplied' });
  };
  return {
    isFull: () => full,
    journal: {
      ...journal,
      async append(lease, records, options) {
        if (options.durable) take();
        return journal.append(lease, records, options);
      },
      appendSync(lease, records) {
        take();
        journal.appendSync(lease, records);
      },
      async end(lease, state, result) {
        take();
        return journal.end(lease, state, result);
      },
    },
  };
}

const WRITES_MAX = 200;

type Begin = (engine: Engine, guest: Guest) => Promise<Saga>;

/** Lets the disk become full at each write in turn; gives how often that was. */
async function fillEverywhere(begin: Begin): Promise<number> {
  for (let writes = 0; writes < WRITES_MAX; writes += 1) {
    const sim = smallSim();
    const kept = memoryJournal(undefined, { clock: sim.clock });
    const { journal, isFull } = filling(kept, writes);
    const engine = createEngine({ journal, clock: sim.clock });
    const saga = await sim.run(begin(engine, { qmp: sim.connect, files: sim.files }));
    const result = await sim.run(saga.result.catch((error: unknown) => error));
    if (!isFull()) return writes;
    const where = `full after ${writes} writes, the last of ${kept.records('s').at(-1)?.step}`;
    expect(result, where).toMatchObject({ code: 'JOURNAL' });
    expect(sim.world.running, where).toBe(true);
    // Were QEMU to die now, the journal would name the images that the guest writes to.
    const sides = decideOffline(saga.plan, kept.records('s')).disks.map(disk => disk.front);
    const fronts = sim.world.fronts().map(front => (NEW.includes(front.path) ? 'new' : 'old'));
    expect(fronts, where).toEqual(sides);
    await expectEndsWell(sim, kept, where);
  }
  throw new Error('the saga does not end');
}

/** With space again, another process ends the saga; nothing of it is left then. */
async function expectEndsWell(sim: Sim, kept: MemoryJournal, where: string): Promise<void> {
  await sim.advance(1_000);
  const next = live(sim, kept.snapshot());
  const saga = await sim.run(next.engine.resume('s', next.guest));
  const { outcome, leftovers } = await sim.run(saga.result);
  expect([outcome, leftovers], where).toEqual([expect.stringMatching(/^(committed|rolledBack)$/), []]);
  const committed = outcome === 'committed';
  expect(
    sim.world.fronts().map(front => front.path),
    where,
  ).toEqual(committed ? NEW : OLD);
  expect(sim.files.list(), where).toEqual([...OLD, ...(committed ? NEW : [])].sort());
  expect(sim.world.running, where).toBe(true);
}

describe('a journal whose disk becomes full at any of its writes', () => {
  test.each(['reopen', 'finalize', 'complete'] as const)(
    'leaves the guest of a copy by %s running, and the saga ends when there is space again',
    async strategy => {
      const full = await fillEverywhere((engine, guest) =>
        engine.copy({ ...guest, id: 's', vm: 'web', disks: copied, strategy }),
      );
      expect(full).toBeGreaterThan(15);
    },
  );

  test.each(['nothing', 'blockdev-create', 'transaction'])(
    'leaves the guest of a snapshot without %s running, and the saga ends when there is space again',
    async lacking => {
      const without = lacking === 'nothing' ? [] : [lacking];
      const full = await fillEverywhere((engine, guest) =>
        engine.snapshot({ ...guest, id: 's', vm: 'web', disks: overlaid, without }),
      );
      expect(full).toBeGreaterThan(5);
    },
  );
});

/** Two looks at the guest, one in front of its pause, one for the filters; the next goes in front of the `stop` of the switch. */
const SWITCH_ASKS = 5;

test('a decision that cannot be written of a switch that came too late loses nothing that the guest wrote before it', async () => {
  const at = { when: 'before', command: 'query-status', nth: SWITCH_ASKS } as const;
  const faults = [{ kind: 'otherClient', at, execute: 'cont' }] as const;
  const sim = smallSim({ timing: { guestWriteMs: 0.45, commandMs: 0.5 }, faults });
  const kept = memoryJournal(undefined, { clock: sim.clock });
  let decisions = 0;
  const journal: Journal = {
    ...kept,
    appendSync(lease, records) {
      decisions += 1;
      if (decisions === 1) throw new BlocksagaError('JOURNAL', 'the disk is full', { effect: 'notApplied' });
      kept.appendSync(lease, records);
    },
  };
  const engine = createEngine({ journal, clock: sim.clock });
  const request = { qmp: sim.connect, files: sim.files, id: 's', disks: copied, strategy: 'reopen' } as const;
  const result = await sim.run((await sim.run(engine.copy(request))).result);
  expect(sim.world.cutOfFronts()).toMatchObject({ upTo: sim.world.guest.acknowledged, why: undefined });
  expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'FOREIGN' } });
  expect(sim.world.running).toBe(true);
});
