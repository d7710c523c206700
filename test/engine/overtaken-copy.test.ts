/**
 * Copies whose guest a third party resumes between two switched disks, and whose QEMU then dies: what was written on either side
 * is found, as soon as the journal can know of it; till then only what neither side holds whole is refused.
 */
import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { BlocksagaError } from '../../src/errors.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { sagaToken } from '../../src/plan/names.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { often } from '../tiers/tier.ts';
import { type Life, live, smallSim } from './lives.ts';

/** Of the commands that it may die at, every how manieth is tried. */
const EVERY = often(3, 1);

const DISKS = [0, 1, 2].map(disk => ({ disk: `dev${disk}`, to: `/images/new${disk}.qcow2` }));

describe.each(['complete', 'finalize'] as const)('a copy by %s whose QEMU dies', strategy => {
  test('after its guest was resumed with some disks switched has every write in one set of images, or is refused', async () => {
    const outcomes = new Set<string>();
    let told = 0;
    let refused = 0;
    for (let nth = 1; ; nth += EVERY) {
      const dead = Promise.withResolvers<ReturnType<Life['die']>>();
      const at = { when: 'before', command: `job-${strategy}`, nth: 2 } as const;
      const job = `bs-${sagaToken('s')}-1-job`;
      const kill: Fault = { kind: 'kill', what: 'qemu', at: { when: 'after', nth } };
      const sim = smallSim({
        disks: DISKS.length,
        timing: { guestWriteMs: 0.055 },
        faults: [
          { kind: 'otherClient', at, execute: 'cont' },
          { kind: 'otherClient', at, execute: 'job-cancel', arguments: { id: job } },
          kill,
        ],
        onFault: fault => fault === kill && dead.resolve(life.die()),
      });
      const life = live(sim);
      const { engine, guest } = life;
      const saga = engine.copy({ ...guest, id: 's', disks: DISKS, strategy }).catch(() => undefined);
      const ended = saga.then(async running => (running === undefined ? undefined : running.result));
      const left = await sim.run(Promise.race([ended.then(() => undefined), dead.promise]));
      if (left === undefined) break;
      const journal = memoryJournal(left);
      const row = journal.saga('s');
      if (row === undefined || row.state === 'rolledBack') continue;
      const isTold = journal
        .records('s')
        .some(({ kind, body }) => kind === 'outcome' && 'error' in (body as object));
      const every = { upTo: sim.world.guest.acknowledged, why: undefined };
      const writesIn = (files: readonly string[]) =>
        judgeWrites(new Map(files.map((file, disk) => [disk, sim.world.readFile(file)])), DISKS.length);
      const files = { files: sim.files, images: virtualImages(sim) };
      const result = await recoverOffline(journal, 's', files).catch((error: unknown) => {
        // Only what the journal cannot know is refused, and only where the side that its decision names lacks a write. Whether the other
        // one has it depends on the disk that the guest happened to write to, of which nothing tells.
        expect([error instanceof BlocksagaError && error.code, isTold]).toEqual(['JOURNAL_BEHIND', false]);
        const decided = journal.records('s').findLast(({ kind }) => kind === 'decision')?.body;
        expect(decided).toEqual({ verdict: 'forward' });
        expect(writesIn(DISKS.map((_, disk) => `/images/new${disk}.qcow2`))).not.toEqual(every);
      });
      if (result === undefined) {
        refused += 1;
        continue;
      }
      outcomes.add(result.outcome);
      if (!isTold) continue;
      told += 1;
      const booted = (result.boot ?? []).map(({ file }) => file);
      expect(writesIn(booted), `killed after command ${nth}: ${result.why}`).toEqual(every);
    }
    expect(outcomes).toContain('rolledBack');
    expect(told).toBeGreaterThan(5);
    // By job-complete nothing is decided before the last disk, so that the old side is named till then.
    expect(refused > 0, `${refused} refused`).toBe(strategy === 'finalize');
    // No more than the commands between the third party's `cont` and the record of the failure.
    expect(refused).toBeLessThan(9);
  });
});
