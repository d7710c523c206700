/**
 * Processes of an orchestrator over one simulator: each has its own engine, connections and copy of what was durable. When
 * one dies, nothing of it reaches the world any more, and the next begins from what was durable then. Injects no other
 * fault.
 */
import type { Engine, EngineOptions } from '../../src/engine/api.ts';
import { createEngine } from '../../src/engine/engine.ts';
import type { Saga } from '../../src/engine/running/saga.ts';
import { BlocksagaError } from '../../src/errors.ts';
import { type MemoryJournal, type MemoryJournalState, memoryJournal } from '../../src/journal/memory.ts';
import type { Clock } from '../../src/qmp/clock.ts';
import type { Connect, Transport } from '../../src/qmp/transport.ts';
import { createSim, type Sim, type SimOptions } from '../../src/sim/create-sim.ts';
import type { Arguments } from '../../src/sim/state/arguments.ts';
import { isOfCount } from '../../src/sim/state/of-count.ts';

export interface Life {
  readonly engine: Engine;
  readonly journal: MemoryJournal;
  readonly guest: { readonly qmp: Connect; readonly files: Sim['files'] };
  /** The names of the commands that this process has sent, but for those about how much of a saga is in its journal. */
  readonly sent: readonly string[];
  /** Ends it; gives what was durable. */
  die(): MemoryJournalState;
}

interface Sent {
  readonly execute: string;
  readonly arguments?: Arguments;
}

/** A simulated guest with small disks. */
export function smallSim(options: SimOptions = {}): Sim {
  return createSim({ disks: 2, sizeBytes: 8 * 1024 * 1024, ...options });
}

/** A process that begins with what an earlier one has left. */
export function live(sim: Sim, before?: MemoryJournalState, options: Partial<EngineOptions> = {}): Life {
  let alive = true;
  const open = new Set<Transport>();
  const sent: string[] = [];
  const clock: Clock = {
    now: () => sim.clock.now(),
    epochMs: () => sim.clock.epochMs(),
    after: (delayMs, callback) => sim.clock.after(delayMs, () => alive && callback()),
  };
  const connect: Connect = async handlers => {
    if (!alive) return new Promise<never>(() => undefined);
    const transport = await sim.connect({
      onMessage: message => alive && handlers.onMessage(message),
      onClose: reason => alive && handlers.onClose(reason),
    });
    open.add(transport);
    return {
      send(messages) {
        for (const message of messages) {
          const { execute, arguments: given = {} } = message as object as Sent;
          if (!isOfCount(execute, given)) sent.push(execute);
        }
        transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
  const journal = memoryJournal(before, { clock });
  return {
    engine: createEngine({ journal, clock, ...options }),
    journal,
    guest: { qmp: connect, files: sim.files },
    sent,
    die() {
      alive = false;
      for (const transport of open) transport.close();
      return journal.snapshot();
    },
  };
}

/**
 * QEMU is killed behind its n-th command of what a process begins, and the process with it. Gives what was durable then; undefined
 * where the work had ended before. The guest writes more often than commands are executed, so that each moment counts.
 */
export async function killAt(
  nth: number,
  work: (life: Life) => Promise<unknown>,
  { prepare, ...options }: SimOptions & { readonly prepare?: (sim: Sim) => void } = {},
): Promise<{ readonly sim: Sim; readonly state: MemoryJournalState | undefined }> {
  const dead = Promise.withResolvers<void>();
  let state: MemoryJournalState | undefined;
  const strike = () => {
    state = life.die();
    dead.resolve();
  };
  const onFault: SimOptions['onFault'] = fault => fault.kind === 'kill' && strike();
  const sim = smallSim({ ...options, onFault, timing: { guestWriteMs: 0.01 } });
  const life = live(sim);
  await sim.advance(2);
  prepare?.(sim);
  sim.armFault({ kind: 'kill', what: 'qemu', at: { when: 'after', nth } });
  const end = work(life).catch(error => {
    if (state === undefined) throw error;
  });
  await sim.run(Promise.race([end, dead.promise]));
  return { sim, state };
}

/** Resolves when the saga enters a state whose last part is this one. */
export function entered(saga: Saga, leaf: string): Promise<void> {
  return new Promise(resolve => {
    saga.subscribe(notice => {
      if (notice.type === 'event' && notice.state.split('.').at(-1) === leaf) resolve();
    });
  });
}

/** The error that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<BlocksagaError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof BlocksagaError) return error;
    throw error;
  }
  throw new Error('it did not reject');
}
