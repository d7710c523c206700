/** Simulated guests of a group, and the processes that work on them one after the other, each dying when it is told. */
import { createEngine, type EngineOptions, memoryJournal } from '../../src/index.ts';
import type { Journal } from '../../src/journal/journal.ts';
import type { MemoryJournalState } from '../../src/journal/memory.ts';
import type { Clock } from '../../src/qmp/clock.ts';
import type { Connect, Transport } from '../../src/qmp/transport.ts';
import { createSim, type Sim } from '../../src/sim/create-sim.ts';
import { createVirtualClock, type VirtualClock } from '../../src/sim/host/virtual-clock.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import type { SimOptions } from '../../src/sim/sim-options.ts';
import type { ProfileName } from '../../src/sim/state/profiles.ts';

export const VMS = ['a', 'b', 'c', 'd'] as const;

/** How one guest of the group is. */
export interface StagedGuest {
  readonly profile?: ProfileName;
  readonly disks?: number;
  readonly faults?: readonly Fault[];
  /** How fast its QEMU answers and it writes; as the simulator has it unless said. */
  readonly timing?: NonNullable<SimOptions['timing']>;
}

/** The verb of a third party's `cont`, among what was sent. */
export const THEIR_CONT = 'cont of a third party';

/** A command that was sent: to which guest, when, and what the world was like right before. */
export interface SentCommand {
  readonly guest: number;
  readonly verb: string;
  readonly atMs: number;
  /** Of each guest: the files in front, whether it runs, and the newest write that it knows to be on its disks. */
  readonly world: readonly {
    readonly fronts: readonly string[];
    readonly running: boolean;
    readonly acknowledged: number;
  }[];
}

/** Some guests, and the processes that work on them one after the other. */
export class Stage {
  readonly clock: VirtualClock = createVirtualClock();
  readonly sims: readonly Sim[];
  /** Commands that were sent, and durable writes that have come about. */
  moments = 0;
  /** The commands, by name. */
  readonly sent: string[] = [];

  /** The `stop` and `cont` among them, and each `cont` of a third party to a guest that did not run. */
  readonly pauses: SentCommand[] = [];

  constructor(guests: readonly StagedGuest[]) {
    const shared = { profile: '10.0', sizeBytes: 4 * 1024 * 1024, disks: 2, clock: this.clock } as const;
    this.sims = guests.map((guest, at) =>
      createSim({
        ...{ ...shared, ...guest, directory: `/${VMS[at]}` },
        onFault: fault => {
          const isCont = fault.kind === 'otherClient' && fault.execute === 'cont';
          if (isCont && this.sims[at]?.world.running === false) this.#note(at, THEIR_CONT);
        },
      }),
    );
  }

  /** Two guests; the faults are the second one's. */
  static two(faults: readonly Fault[] = []): Stage {
    return new Stage([{}, { faults }]);
  }

  #sent(guest: number, verb: string): void {
    this.sent.push(verb);
    if (verb === 'stop' || verb === 'cont') this.#note(guest, verb);
  }

  #note(guest: number, verb: string): void {
    const world = this.sims.map(sim => ({
      fronts: sim.world.alive ? sim.world.fronts().map(({ path }) => path) : [],
      running: sim.world.alive && sim.world.running,
      acknowledged: sim.world.guest.acknowledged,
    }));
    this.pauses.push({ guest, verb, atMs: this.clock.now(), world });
  }

  /** Called at each moment, behind the death that may be there. */
  onMoment: (moment: number) => void = () => undefined;

  /** A process whose commands and durable writes are counted; it dies when it is told, or at the n-th. */
  process(
    before: MemoryJournalState | undefined,
    diesAt = Number.POSITIVE_INFINITY,
    options: Pick<EngineOptions, 'askLeader'> = {},
  ) {
    let isAlive = true;
    const open = new Set<Transport>();
    const died = Promise.withResolvers<void>();
    const clock: Clock = {
      now: () => this.clock.now(),
      epochMs: () => this.clock.epochMs(),
      after: (delayMs, callback) => this.clock.after(delayMs, () => isAlive && callback()),
    };
    const journal = memoryJournal(before, { clock });
    let left: MemoryJournalState | undefined;
    const die = () => {
      if (!isAlive) return;
      isAlive = false;
      left = journal.snapshot();
      for (const transport of open) transport.close();
      died.resolve();
    };
    const passes = () => {
      this.moments += 1;
      if (this.moments >= diesAt) die();
      if (isAlive) this.onMoment(this.moments);
    };
    const watched: Journal = {
      begin: (...args) => passing(journal.begin(...args), passes),
      takeOver: (...args) => journal.takeOver(...args),
      confirm: lease => journal.confirm(lease),
      append: async (lease, records, options) => {
        await journal.append(lease, records, options);
        if (options.durable) passes();
      },
      appendSync: (...args) => passing(journal.appendSync(...args), passes),
      end: async (...args) => passing(await journal.end(...args), passes),
      ask: (...args) => journal.ask(...args),
      listen: (...args) => journal.listen(...args),
      release: async lease => journal.release?.(lease),
      saga: id => journal.saga(id),
      sagas: filter => journal.sagas(filter),
      records: id => journal.records(id),
      close: () => journal.close(),
    };
    const connectTo =
      (sim: Sim, guest: number): Connect =>
      async handlers => {
        if (!isAlive) return new Promise<never>(() => undefined);
        const transport = await sim.connect({
          onMessage: message => isAlive && handlers.onMessage(message),
          onClose: reason => isAlive && handlers.onClose(reason),
        });
        open.add(transport);
        return {
          send: messages => {
            for (const message of messages) {
              passes();
              if (!isAlive) continue;
              this.#sent(guest, (message as { readonly execute: string }).execute);
              transport.send([message]);
            }
          },
          close: () => transport.close(),
        };
      };
    const guests = this.sims.map((sim, at) => ({ qmp: connectTo(sim, at), files: sim.files }));
    return {
      engine: createEngine({ ...options, journal: watched, clock }),
      ...{ journal, clock },
      isAlive: () => isAlive,
      guests,
      die,
      died: died.promise,
      left: () => left,
    };
  }

  requests(guests: ReturnType<Stage['process']>['guests']) {
    return this.#asked(guests, (disk, overlay) => ({ disk, overlay }));
  }

  clones(guests: ReturnType<Stage['process']>['guests']) {
    const finish = 'clone' as const;
    return this.#asked(guests, (disk, to) => ({ disk, to })).map(each => ({ ...each, finish }));
  }

  /** Clones of all guests, or snapshots. */
  asked(guests: ReturnType<Stage['process']>['guests'], isCloned: boolean) {
    return isCloned ? this.clones(guests) : this.requests(guests);
  }

  /** The image that a guest's disk gets, as an overlay or as a copy. */
  newFile(guest: number, disk: number): string {
    return `/${VMS[guest]}/new${disk}.qcow2`;
  }

  #asked<D>(guests: ReturnType<Stage['process']>['guests'], ofDisk: (disk: string, file: string) => D) {
    return this.sims.map((sim, at) => ({
      ...{ vm: VMS[at] ?? '', qmp: sim.connect, files: sim.files, ...guests[at] },
      disks: sim.world.fronts().map(({ node }, disk) => ofDisk(node, this.newFile(at, disk))),
    }));
  }
}

function passing<T>(value: T, passes: () => void): T {
  passes();
  return value;
}
