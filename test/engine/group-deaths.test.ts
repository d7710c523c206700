/**
 * The process dies in front of each command, and behind each durable write, of a group of two guests, and each member is resumed by another process: both guests are on
 * their overlays, or both on their bases, and run.
 */
import { describe, expect, it } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import { createEngine, memoryJournal } from '../../src/index.ts';
import type { Journal } from '../../src/journal/journal.ts';
import type { MemoryJournalState } from '../../src/journal/memory.ts';
import type { Clock } from '../../src/qmp/clock.ts';
import type { Connect, Transport } from '../../src/qmp/transport.ts';
import { createSim, type Sim } from '../../src/sim/create-sim.ts';
import { createVirtualClock, type VirtualClock } from '../../src/sim/host/virtual-clock.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';

const VMS = ['a', 'b'] as const;

/** Two guests, and the processes that work on them one after the other. */
class Stage {
  readonly clock: VirtualClock = createVirtualClock();
  readonly sims: readonly Sim[];
  /** Commands that were sent, and durable writes that have come about. */
  moments = 0;

  /** The faults are the second guest's. */
  constructor(faults: readonly Fault[]) {
    const shared = { profile: '10.0', sizeBytes: 4 * 1024 * 1024, disks: 2, clock: this.clock } as const;
    this.sims = VMS.map((vm, at) =>
      createSim({ ...shared, directory: `/${vm}`, faults: at === 0 ? [] : faults }),
    );
  }

  /** A process whose commands and durable writes are counted; it dies when it is told, or at the n-th. */
  process(before: MemoryJournalState | undefined, diesAt = Number.POSITIVE_INFINITY) {
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
      saga: id => journal.saga(id),
      sagas: filter => journal.sagas(filter),
      records: id => journal.records(id),
      close: () => journal.close(),
    };
    const connectTo =
      (sim: Sim): Connect =>
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
              if (isAlive) transport.send([message]);
            }
          },
          close: () => transport.close(),
        };
      };
    const guests = this.sims.map(sim => ({ qmp: connectTo(sim), files: sim.files }));
    return {
      engine: createEngine({ journal: watched, clock }),
      journal,
      guests,
      die,
      died: died.promise,
      left: () => left,
    };
  }

  requests(guests: ReturnType<Stage['process']>['guests']) {
    return this.sims.map((sim, at) => ({
      ...{ vm: VMS[at] ?? '', qmp: sim.connect, files: sim.files, ...guests[at] },
      disks: sim.world
        .fronts()
        .map(({ node }, disk) => ({ disk: node, overlay: `/${VMS[at]}/new${disk}.qcow2` })),
    }));
  }
}

function passing<T>(value: T, passes: () => void): T {
  passes();
  return value;
}

/** Runs a group whose process dies at its n-th moment. */
async function dieAt(diesAt: number, faults: readonly Fault[]) {
  const stage = new Stage(faults);
  const bases = stage.sims.map(sim => sim.world.fronts().map(({ path }) => path));
  const first = stage.process(undefined, diesAt);
  const ended = first.engine.group(stage.requests(first.guests), { id: 'g' }).then(({ result }) => result);
  ended.catch(() => undefined);
  await stage.clock.run(Promise.race([ended, first.died]));
  const hasDied = first.left() !== undefined;
  if (!hasDied) first.die();
  return { stage, bases, hasDied, left: first.left() };
}

type Dead = Awaited<ReturnType<typeof dieAt>>;

/** Resumes the members; gives on which side both guests are then. */
async function resumeAll({ stage, bases, left }: Dead, order: readonly number[], diesAt: number) {
  const second = stage.process(left);
  for (const at of order) {
    const guest = second.guests[at];
    const id = `g.${at}`;
    if (guest === undefined || second.journal.saga(id) === undefined) continue;
    const saga = await stage.clock.run(second.engine.resume(id, guest));
    const result = await stage.clock.run(saga.ended);
    expect(result.outcome, `${diesAt}: ${JSON.stringify(result.error)}`).not.toBe('needsRecovery');
  }
  const sides = stage.sims.map((sim, at) => {
    expect(sim.world.running, `${diesAt}: guest ${VMS[at]} runs`).toBe(true);
    expect(sim.world.cutOfFronts(), `${diesAt}`).toMatchObject({ consistent: true });
    return sim.world.fronts().every(({ path }, disk) => path === bases[at]?.[disk]) ? 'old' : 'new';
  });
  expect(new Set(sides).size, `${diesAt}: ${sides.join()}`).toBe(1);
  return sides[0];
}

/** Both QEMUs have died too: recovers the members offline; gives on which side both guests are to be booted. */
async function recoverAll({ stage, bases, left }: Dead, order: readonly number[], diesAt: number) {
  const journal = memoryJournal(left);
  for (const sim of stage.sims) sim.kill();
  const sides = new Set<string>();
  for (const at of order) {
    const sim = stage.sims[at];
    const row = journal.saga(`g.${at}`);
    if (sim === undefined || row === undefined) continue;
    const options = { files: sim.files, images: virtualImages(sim), clock: stage.clock };
    const result = await stage.clock.run(recoverOffline(journal, row.id, { ...options, qemu: 'dead' }));
    const files = result.boot?.map(({ file }) => file) ?? result.disks.map(({ after }) => after?.file ?? '');
    sides.add(files.every((file, disk) => file === bases[at]?.[disk]) ? 'old' : 'new');
    const contents = new Map(files.map((file, disk) => [disk, sim.world.readFile(file)]));
    expect(judgeWrites(contents, files.length), `${diesAt}`).toEqual({
      ...{ upTo: sim.world.guest.acknowledged, why: undefined },
    });
  }
  expect(sides.size, `${diesAt}: ${[...sides].join()}`).toBeLessThan(2);
  return [...sides][0] ?? 'old';
}

/** The second guest answers late that it was resumed, so that the members do not go in step. */
const LATE: Fault = { kind: 'replyLate', command: 'cont', nth: 1, delayMs: 5 };
const REFUSED: Fault = { kind: 'refuse', command: 'transaction', nth: 1 };
/** The news of the first cont is that of a third party, right behind the vote. */
const RESUMED: Fault = {
  kind: 'otherClient',
  at: { when: 'after', command: 'transaction', nth: 1 },
  execute: 'cont',
};

const SCENES = [
  // Early deaths lead back, late ones forward, and there is no second change.
  ['that commits', [LATE], /^(old )+new( new)*$/],
  ['of which one cannot take its snapshot', [REFUSED], /^(old ?)+$/],
  ['of which a third party resumes one in the pause', [RESUMED], /^(old ?)+$/],
] as const;

describe.each(SCENES)('a group %s', (_, faults, expected) => {
  it.each([
    ['whose process has died', 'in their order', resumeAll, [0, 1]],
    ['whose process has died', 'in the other one', resumeAll, [1, 0]],
    ['whose process and both QEMUs have died', 'in their order', recoverAll, [0, 1]],
    ['whose process and both QEMUs have died', 'in the other one', recoverAll, [1, 0]],
  ] as const)('is on all guests or on none, at whatever moment: one %s, its members %s', async (...row) => {
    const [, , recover, order] = row;
    const sides: string[] = [];
    for (let diesAt = 1; ; diesAt += 1) {
      const dead = await dieAt(diesAt, faults);
      if (!dead.hasDied) break;
      sides.push((await recover(dead, order, diesAt)) ?? '');
    }
    expect(sides.join(' ')).toMatch(expected);
    expect(sides.length).toBeGreaterThan(50);
  });
});
