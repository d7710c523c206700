/**
 * Any JSON in place of any reply or event: only typed errors come of it, nothing is thrown out of a handler, and when QEMU
 * answers well again a resume brings all disks to one side, with the guest running.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlocksagaError, createEngine, memoryJournal } from '../src/index.ts';
import type { Connect, Json } from '../src/qmp/transport.ts';
import { createSim, type Sim } from '../src/sim/index.ts';
import { often } from '../test/tiers/tier.ts';

/** What stands in place of what QEMU says, from the message with this number on, and for how many. */
interface Lie {
  readonly from: number;
  readonly count: number;
  readonly value: Json;
  /** Whether it stands in place of the message, or of what a reply returns and an event tells. */
  readonly isInside: boolean;
}

const lies: fc.Arbitrary<Lie> = fc.record({
  from: fc.nat(150),
  count: fc.integer({ min: 1, max: 4 }),
  value: fc.oneof(
    fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>,
    fc.constantFrom<Json>(
      [],
      {},
      null,
      [null],
      [{}],
      { running: 1 },
      [{ id: 5 }],
      [{ device: 'x', inserted: 7 }],
    ),
    fc.bigInt(),
  ),
  isInside: fc.boolean(),
});

function lying(sim: Sim, lie: Lie, thrown: unknown[]): Connect {
  let count = 0;
  return handlers =>
    sim.connect({
      onMessage(message) {
        // The greeting stays: without it there is no monitor, and no saga.
        const isGreeting = 'QMP' in (message as object);
        const isLie = !isGreeting && count >= lie.from && count < lie.from + lie.count;
        if (!isGreeting) count += 1;
        try {
          handlers.onMessage(isLie ? replaced(message, lie) : message);
        } catch (error) {
          thrown.push(error);
        }
      },
      onClose: reason => handlers.onClose(reason),
    });
}

function replaced(message: Json, { value, isInside }: Lie): Json {
  if (!isInside) return value;
  const known = message as { readonly [key: string]: Json };
  return 'event' in known ? { ...known, data: value } : { ...known, return: value };
}

const OPERATIONS = ['copy', 'finalize', 'snapshot', 'sequential'] as const;

function begin(sim: Sim, connect: Connect, journal: ReturnType<typeof memoryJournal>, operation: string) {
  const engine = createEngine({ journal, clock: sim.clock });
  const guest = { qmp: connect, files: sim.files };
  const disks = sim.world.fronts();
  if (operation === 'copy' || operation === 'finalize') {
    return engine.copy({
      ...guest,
      id: 's',
      strategy: operation === 'copy' ? 'reopen' : 'finalize',
      disks: disks.map(({ node }, at) => ({ disk: node, to: `/images/new${at}.qcow2` })),
    });
  }
  return engine.snapshot({
    ...guest,
    id: 's',
    ...(operation === 'sequential' ? { without: ['transaction'] } : {}),
    disks: disks.map(({ node }, at) => ({ disk: node, overlay: `/images/new${at}.qcow2` })),
  });
}

test('whatever QEMU says once, only typed errors come of it, and the guest runs on disks of one side in the end', async () => {
  await fc.assert(
    fc.asyncProperty(lies, fc.constantFrom(...OPERATIONS), fc.nat(1000), async (lie, operation, seed) => {
      const sim = createSim({ profile: '7.2', disks: 2, seed });
      const journal = memoryJournal();
      const thrown: unknown[] = [];
      const uncaught = (error: unknown) => void thrown.push(error);
      process.on('uncaughtException', uncaught);
      try {
        await sim.run(
          begin(sim, lying(sim, lie, thrown), journal, operation)
            .then(saga => saga.result)
            .catch(expectTyped),
        );
        for (let life = 0; life < 3 && isOpen(journal); life += 1) {
          const engine = createEngine({ journal, clock: sim.clock });
          await sim.run(
            engine
              .resume('s', { qmp: sim.connect, files: sim.files })
              .then(saga => saga.result)
              .catch(expectTyped),
          );
        }
      } finally {
        process.off('uncaughtException', uncaught);
      }
      expect(thrown).toEqual([]);
      expect(isOpen(journal)).toBe(false);
      expect(sim.world.running).toBe(true);
      const isNew = sim.world.fronts().map(({ path }) => path.includes('/new'));
      expect(new Set(isNew).size).toBe(1);
    }),
    { numRuns: Number(process.env['HOSTILE_RUNS'] ?? often(70, 150)) },
  );
});

function isOpen(journal: ReturnType<typeof memoryJournal>): boolean {
  const state = journal.saga('s')?.state;
  return state === 'open' || state === 'needsRecovery';
}

function expectTyped(error: unknown): void {
  if (!(error instanceof BlocksagaError)) throw error;
}
