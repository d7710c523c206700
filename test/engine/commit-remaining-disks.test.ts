/**
 * Commits of active images whose guest a third party resumes when some disks are merged and others are not: what the guest then
 * writes is in the lower images of the merged ones, so the only way that keeps it is forward.
 */
import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { BlocksagaError } from '../../src/errors.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { sagaToken } from '../../src/plan/names.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { strides } from '../tiers/tier.ts';
import { type Life, live, smallSim } from './lives.ts';

const DISKS = 3;
/** More than any of these sagas sends. */
const COMMANDS_MAX = 400;
const diesAt = strides(10);
const OLD = [0, 1, 2].map(disk => [`/images/disk${disk}.qcow2`, `/images/disk${disk}-base0.qcow2`]);
const MERGED = OLD.map(chain => chain.slice(1));
const jobOf = (disk: number) => `bs-${sagaToken('s')}-${disk}-job`;

/** The guest, which writes, runs when the first disk is merged, and the second is not to be. */
function overtaken(
  strategy: 'complete' | 'finalize',
  more: readonly Fault[] = [],
  onFault: (fault: Fault) => void = () => undefined,
) {
  const command = strategy === 'complete' ? 'job-complete' : 'job-finalize';
  const at = { when: 'before', command, nth: 2 } as const;
  const faults: readonly Fault[] = [
    { kind: 'otherClient', at, execute: 'cont' },
    { kind: 'otherClient', at, execute: 'job-cancel', arguments: { id: jobOf(1) } },
    ...more,
  ];
  return smallSim({ disks: DISKS, backingLayers: 1, faults, timing: { guestWriteMs: 0.04 }, onFault });
}

/** When the first disk is merged, and no other one. */
function replaced(path: string, strategy: 'complete' | 'finalize'): Fault {
  const command = strategy === 'complete' ? 'job-complete' : 'job-finalize';
  return { kind: 'file', at: { when: 'before', command, nth: 2 }, path, how: 'replace' };
}

const begin = ({ engine, guest }: Life, strategy: 'complete' | 'finalize') =>
  engine.commit({
    ...guest,
    id: 's',
    active: true,
    strategy,
    disks: [0, 1, 2].map(disk => ({ disk: `dev${disk}` })),
  });

describe.each(['complete', 'finalize'] as const)('a commit of active images by %s', strategy => {
  test('merges the rest when the guest has run with some disks merged', async () => {
    const sim = overtaken(strategy);
    const life = live(sim);
    const result = await sim.run((await sim.run(begin(life, strategy))).result);
    expect(life.journal.records('s').map(({ step }) => step)).toContain('commitRemainingDisks');
    expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
    expect(result.disks.map(({ after }) => after?.chain)).toEqual(MERGED);
    expect(sim.world.running).toBe(true);
    expect(sim.world.inject('query-jobs')).toMatchObject({ return: [] });
  });

  test('is gone on with by a resume where the rest could not be merged at once', async () => {
    // Whatever the rest is tried with in the first process is refused.
    const refusals = Array.from(
      { length: 24 },
      (_, at): Fault => ({ kind: 'refuse', command: 'block-commit', nth: DISKS + 1 + at }),
    );
    const sim = overtaken(strategy, refusals);
    const first = live(sim);
    const result = await sim.run((await sim.run(begin(first, strategy))).result);
    expect(result).toMatchObject({ outcome: 'needsRecovery' });
    expect(sim.world.running).toBe(true);
    let before = first.die();
    for (let life = 0; life < 5; life += 1) {
      const next = live(sim, before);
      const resumed = await sim.run(next.engine.resume('s', next.guest));
      const last = await sim.run(resumed.result);
      before = next.die();
      if (last.outcome === 'needsRecovery') continue;
      expect(last).toMatchObject({ outcome: 'committed', leftovers: [] });
      expect(last.disks.map(({ after }) => after?.chain)).toEqual(MERGED);
      expect(sim.world.running).toBe(true);
      return;
    }
    throw new Error('it does not end');
  });

  test('merges into no file of a third party’s, and asks for the image to be put back', async () => {
    const sim = overtaken(strategy, [replaced('/images/disk1-base0.qcow2', strategy)]);
    const first = live(sim);
    const result = await sim.run((await sim.run(begin(first, strategy))).result);
    expect(result).toMatchObject({ outcome: 'needsRecovery', error: { disk: 'dev1' } });
    expect(result.error?.message).toContain('/images/disk1-base0.qcow2');
    expect(result.error?.message).toContain('put the right file back');
    expect(sim.world.running).toBe(true);
    expect(sim.world.host.files.get('/images/disk1-base0.qcow2')?.written).toEqual(
      sim.world.moved[0]?.made?.written,
    );
    const before = first.die();
    expect(sim.world.putBack('/images/disk1-base0.qcow2')).toBe(true);
    const next = live(sim, before);
    const last = await sim.run((await sim.run(next.engine.resume('s', next.guest))).result);
    expect(last).toMatchObject({ outcome: 'committed', error: null });
    expect(last.misnamed).toBeUndefined();
    expect(last.disks.map(({ after }) => after?.chain)).toEqual(MERGED);
    expectWrites(sim, MERGED.flat());
  });

  test('names the image of a merged disk that a third party has replaced, and merges the rest', async () => {
    const sim = overtaken(strategy, [replaced('/images/disk0-base0.qcow2', strategy)]);
    const life = live(sim);
    const result = await sim.run((await sim.run(begin(life, strategy))).result);
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect(result.misnamed).toMatchObject([{ disk: 'dev0', file: '/images/disk0-base0.qcow2' }]);
    expect(result.disks.map(({ after }) => after?.chain)).toEqual(MERGED);
  });

  test('is merged on every disk whenever its orchestrator dies, with all that the guest wrote', async () => {
    const outcomes = new Set<string>();
    for (const nth of diesAt(COMMANDS_MAX)) {
      const sim = overtaken(strategy);
      const life = live(sim);
      const dead = Promise.withResolvers<Death>();
      const mortal = { ...life, guest: { ...life.guest, qmp: dyingAt(nth, life, dead.resolve) } };
      const saga = begin(mortal, strategy).catch(() => undefined);
      const ended = saga.then(async running => (running === undefined ? undefined : running.result));
      const first = await sim.run(Promise.race([ended.then(() => undefined), dead.promise]));
      if (first === undefined) break;
      const next = live(sim, first);
      if (next.journal.saga('s') === undefined) continue;
      const result = await sim.run((await sim.run(next.engine.resume('s', next.guest))).result);
      outcomes.add(result.outcome);
      expect(result, `died after command ${nth}`).toMatchObject({ outcome: 'committed', leftovers: [] });
      expect(result.disks.map(({ after }) => after?.chain)).toEqual(MERGED);
      expect(sim.world.running).toBe(true);
      expectWrites(sim, MERGED.flat());
    }
    expect(outcomes).toEqual(new Set(['committed']));
  });

  test('has one set of chains with all writes whenever its QEMU dies, or is refused', async () => {
    const outcomes = new Set<string>();
    let refused = 0;
    for (let nth = 1; ; nth += 1) {
      const dead = Promise.withResolvers<Death>();
      const kill: Fault = { kind: 'kill', what: 'qemu', at: { when: 'after', nth } };
      const sim = overtaken(strategy, [kill], fault => fault === kill && dead.resolve(life.die()));
      const life = live(sim);
      const saga = begin(life, strategy).catch(() => undefined);
      const ended = saga.then(async running => (running === undefined ? undefined : running.result));
      const first = await sim.run(Promise.race([ended.then(() => undefined), dead.promise]));
      if (first === undefined) break;
      const journal = memoryJournal(first);
      const row = journal.saga('s');
      if (row === undefined || row.state === 'committed') continue;
      // Until the saga hears that a third party resumed the guest, its journal cannot say so.
      const isTold = journal.records('s').some(({ body }) => JSON.stringify(body).includes('"asIs"'));
      const files = { files: sim.files, images: virtualImages(sim) };
      const result = await recoverOffline(journal, 's', files).catch((error: unknown) => {
        // Only what the journal cannot know is refused, and only where the side that it would name lacks a write.
        expect([error instanceof BlocksagaError && error.code, isTold]).toEqual(['JOURNAL_BEHIND', false]);
        expect(writesIn(sim, frontsOf(MERGED))).not.toEqual(allOf(sim));
      });
      if (result === undefined) {
        refused += 1;
        const told = await recoverOffline(journal, 's', { ...files, front: 'old' });
        expect(told.boot?.map(({ file }) => file)).toEqual(frontsOf(OLD));
        expectWrites(sim, frontsOf(OLD));
        continue;
      }
      outcomes.add(result.outcome);
      const chains = result.outcome === 'committed' ? MERGED : OLD;
      expect(
        result.boot?.map(({ file }) => file),
        `killed after command ${nth}`,
      ).toEqual(frontsOf(chains));
      if (isTold) expectWrites(sim, frontsOf(chains));
    }
    expect(outcomes).toEqual(new Set(['rolledBack', 'committed']));
    // By job-complete nothing is decided before the last disk, so that the old side is named till then.
    expect(refused > 0, `${refused} refused`).toBe(strategy === 'finalize');
  });
});

type Death = ReturnType<Life['die']>;

/** The process ends when it has sent so many commands. */
function dyingAt(nth: number, life: Life, dead: (state: Death) => void): Connect {
  let sent = 0;
  return async handlers => {
    const transport = await life.guest.qmp(handlers);
    return {
      close: () => transport.close(),
      send(messages) {
        for (const message of messages) {
          sent += 1;
          if (sent <= nth) transport.send([message]);
          if (sent === nth) dead(life.die());
        }
      },
    };
  };
}

const frontsOf = (chains: readonly (readonly string[])[]) => chains.map(([front = '']) => front);

const allOf = (sim: Sim) => ({ upTo: sim.world.guest.acknowledged, why: undefined });

function writesIn(sim: Sim, fronts: readonly string[]) {
  return judgeWrites(new Map(fronts.map((file, disk) => [disk, sim.world.readFile(file)])), DISKS);
}

/** These images hold all that the guest was told was written. */
function expectWrites(sim: Sim, fronts: readonly string[]): void {
  expect(writesIn(sim, fronts)).toEqual(allOf(sim));
}
