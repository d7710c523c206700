/** One effect for one id, and one saga at a time for one VM, however requests meet. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Engine } from '../src/engine/api.ts';
import type { Guest } from '../src/engine/connection/guest.ts';
import { createEngine } from '../src/engine/engine.ts';
import type { Saga } from '../src/engine/running/saga.ts';
import { BlocksagaError } from '../src/errors.ts';
import type { Journal } from '../src/journal/journal.ts';
import { type MemoryJournal, memoryJournal } from '../src/journal/memory.ts';
import { sleep } from '../src/qmp/clock.ts';
import type { Connect } from '../src/qmp/transport.ts';
import { createSim, type Sim } from '../src/sim/create-sim.ts';
import { often } from '../test/tiers/tier.ts';

const SIZE_BYTES = 8 * 1024 * 1024;
const RUNS = often(25, 60);

/** What a request came to: the saga and its outcome, or the refusal. */
interface Answer {
  readonly id: string;
  readonly outcome: string;
  /** The saga that stood in the way. */
  readonly holder: string | undefined;
  readonly saga: Saga | undefined;
}

/** A guest, its journal, and how many sagas of the VM were open at most. */
class Bench {
  readonly sim: Sim = createSim({ disks: 2, sizeBytes: SIZE_BYTES });
  readonly kept: MemoryJournal = memoryJournal(undefined, { clock: this.sim.clock });
  openMax = 0;
  monitors = 0;

  /** An engine of its own over the one journal, as other processes have. */
  engine(): Engine {
    const { kept } = this;
    const begin: Journal['begin'] = saga => {
      const lease = kept.begin(saga);
      this.openMax = Math.max(this.openMax, kept.sagas({ state: 'open' }).length);
      return lease;
    };
    return createEngine({ journal: { ...kept, begin }, clock: this.sim.clock });
  }

  /** A way to the guest over a monitor of its own, whose files answer in the order that the scheduler says. */
  guest(scheduler: fc.Scheduler): Guest & { readonly vm: string } {
    this.monitors += 1;
    const { files } = this.sim;
    const qmp: Connect = this.sim.monitor(`monitor${this.monitors}`);
    const stat = (path: string) => scheduler.schedule(files.stat(path), `stat ${path}`);
    return { qmp, files: { ...files, stat }, vm: 'web' };
  }

  /** Lets everything happen until the requests have been answered. */
  async answers(requests: readonly Promise<Answer>[], scheduler: fc.Scheduler): Promise<readonly Answer[]> {
    const all = Promise.all(requests);
    let ended = false;
    all.then(
      () => (ended = true),
      () => (ended = true),
    );
    for (let turn = 0; !ended && turn < 100_000; turn += 1) {
      if (scheduler.count() > 0) await scheduler.waitOne();
      else await this.sim.advance(1);
    }
    return all;
  }
}

async function answerOf(id: string, begun: Promise<Saga>): Promise<Answer> {
  try {
    const saga = await begun;
    return { id, outcome: (await saga.result).outcome, holder: undefined, saga };
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    return { id, outcome: error.code, holder: error.saga, saga: undefined };
  }
}

const disksOf = (name: string) =>
  [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/${name}${index}.qcow2` }));
const delays = fc.array(fc.constantFrom(0, 0.05, 0.3, 1, 4, 30), { minLength: 2, maxLength: 3 });

describe('one effect', () => {
  test('is what the same request under one id has, however often and whenever it is submitted', async () => {
    const property = fc.asyncProperty(fc.scheduler(), delays, async (scheduler, waits) => {
      const bench = new Bench();
      const engine = bench.engine();
      const requests = waits.map(async waitMs => {
        await sleep(bench.sim.clock, waitMs);
        return answerOf('s', engine.copy({ ...bench.guest(scheduler), id: 's', disks: disksOf('new') }));
      });
      const answers = await bench.answers(requests, scheduler);
      expect(answers.map(({ outcome }) => outcome)).toEqual(waits.map(() => 'committed'));
      expect([bench.openMax, bench.kept.sagas().length]).toEqual([1, 1]);
      expect(bench.sim.world.fronts().map(front => front.path)).toEqual([
        '/images/new0.qcow2',
        '/images/new1.qcow2',
      ]);
    });
    await fc.assert(property, { numRuns: RUNS });
  });

  test('is not shared with another request under that id, which is refused', async () => {
    const property = fc.asyncProperty(
      fc.scheduler(),
      fc.constantFrom(0, 0.05, 1, 400),
      async (scheduler, waitMs) => {
        const bench = new Bench();
        const engine = bench.engine();
        const first = answerOf(
          's',
          engine.copy({ ...bench.guest(scheduler), id: 's', disks: disksOf('new') }),
        );
        const second = sleep(bench.sim.clock, waitMs).then(() =>
          answerOf('s', engine.copy({ ...bench.guest(scheduler), id: 's', disks: disksOf('other') })),
        );
        const answers = await bench.answers([first, second], scheduler);
        expect(answers.map(({ outcome }) => outcome)).toEqual(['committed', 'ID_CONFLICT']);
        expect(answers[1]?.holder).toBe('s');
      },
    );
    await fc.assert(property, { numRuns: RUNS });
  });
});

test('two sagas never work on one VM at once: the second is refused and told which holds it, or comes after', async () => {
  const property = fc.asyncProperty(fc.scheduler(), delays, fc.boolean(), async (scheduler, waits, apart) => {
    const bench = new Bench();
    const shared = bench.engine();
    const requests = waits.map(async (waitMs, index) => {
      const id = `s${index}`;
      const engine = apart ? bench.engine() : shared;
      await sleep(bench.sim.clock, waitMs);
      return answerOf(id, engine.copy({ ...bench.guest(scheduler), id, disks: disksOf(id) }));
    });
    const answers = await bench.answers(requests, scheduler);
    expect(bench.openMax).toBe(1);
    const committed = answers.filter(({ outcome }) => outcome === 'committed');
    expect(committed.length).toBeGreaterThan(0);
    for (const { outcome, holder, id } of answers) {
      if (outcome === 'committed') continue;
      expect(outcome).toBe('VM_BUSY');
      // Refused for what a third party changed while it was planned, there is no other process to wait for.
      if (holder !== undefined)
        expect(
          committed.map(each => each.id),
          `refused ${id}`,
        ).toContain(holder);
    }
    const fronts = bench.sim.world.fronts().map(front => front.path);
    expect(
      committed.map(({ id }) =>
        disksOf(id)
          .map(disk => disk.to)
          .join(),
      ),
    ).toContain(fronts.join());
  });
  await fc.assert(property, { numRuns: RUNS });
});
