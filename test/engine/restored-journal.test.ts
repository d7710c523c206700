/**
 * A saga has ended, the guest has gone on, and then an older copy of the journal is put back, from any earlier moment. What
 * an offline recovery says then is held against what the guest was told is written.
 */
import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { BlocksagaError } from '../../src/errors.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { CopyRequest } from '../../src/operations/requests.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { live, smallSim } from './lives.ts';

const DISKS = 2;
const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];

type Wish = { readonly what: 'snapshot' | 'copy' } & Partial<Pick<CopyRequest, 'strategy'>>;

/** Ends a saga, lets the guest write, and kills QEMU. */
async function ended({ what, ...more }: Wish) {
  const sim = smallSim({ disks: DISKS });
  const life = live(sim);
  await sim.advance(2);
  const common = { ...life.guest, id: 's', vm: 'web', ...more };
  const disks = NEW.map((file, index) => ({ disk: `dev${index}`, file }));
  const saga = await sim.run(
    what === 'snapshot'
      ? life.engine.snapshot({ ...common, disks: disks.map(({ disk, file }) => ({ disk, overlay: file })) })
      : life.engine.copy({ ...common, disks: disks.map(({ disk, file }) => ({ disk, to: file })) }),
  );
  const { outcome } = await sim.run(saga.result);
  expect(outcome).toBe('committed');
  await sim.advance(5);
  const state = life.die();
  sim.kill();
  return { sim, state };
}

const WISHES: readonly Wish[] = [
  { what: 'snapshot' },
  { what: 'copy', strategy: 'reopen' },
  { what: 'copy', strategy: 'finalize' },
  { what: 'copy', strategy: 'complete' },
];

describe.each(WISHES)('$what $strategy', wish => {
  test('boots from no image that is older, and removes none, whichever older copy of the journal is there', async () => {
    const records = (await ended(wish)).state.sagas[0]?.records.length ?? 0;
    expect(records).toBeGreaterThan(5);
    let refused = 0;
    for (let kept = 0; kept <= records; kept += 1) {
      const { sim, state } = await ended(wish);
      const sagas = state.sagas.map(({ row, records: all }) => ({
        row: { ...row, state: 'open' as const, result: null, endedAtMs: null },
        records: all.slice(0, kept),
      }));
      const claims = sagas.map(({ row }) => [row.vm, { token: 1, saga: row.id }] as const);
      const restored = () => memoryJournal({ ...state, sagas, claims });
      const options = { files: sim.files, images: virtualImages(sim) };
      const result = await recoverOffline(restored(), 's', options).catch(error => {
        expect(error instanceof BlocksagaError && error.code, String(error)).toBe('JOURNAL_BEHIND');
        refused += 1;
        return recoverOffline(restored(), 's', { ...options, front: 'new' });
      });
      const images = new Map((result.boot ?? []).map(({ file }, disk) => [disk, sim.world.readFile(file)]));
      const held = judgeWrites(images, DISKS);
      expect(held, `${kept} records`).toEqual({ upTo: sim.world.guest.acknowledged, why: undefined });
      expect(sim.files.list()).toEqual(expect.arrayContaining(NEW));
    }
    expect(refused).toBeGreaterThan(2);
  });
});

test('a recovery that asks no images would be noticed by this', async () => {
  const { sim, state } = await ended({ what: 'copy', strategy: 'reopen' });
  const sagas = state.sagas.map(({ row, records }) => ({
    row: { ...row, state: 'open' as const, result: null, endedAtMs: null },
    records: records.slice(0, records.findIndex(({ step }) => step === 'mirrorDisks') + 1),
  }));
  const claims = sagas.map(({ row }) => [row.vm, { token: 1, saga: row.id }] as const);
  const images = { ...virtualImages(sim), compare: async () => 'within' as const };
  const restored = memoryJournal({ ...state, sagas, claims });
  const result = await recoverOffline(restored, 's', { files: sim.files, images });
  const held = new Map((result.boot ?? []).map(({ file }, disk) => [disk, sim.world.readFile(file)]));
  expect(judgeWrites(held, DISKS).upTo).toBeLessThan(sim.world.guest.acknowledged);
  expect(sim.files.list()).not.toEqual(expect.arrayContaining(NEW));
});
