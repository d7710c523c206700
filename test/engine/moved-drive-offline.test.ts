/**
 * A guest that a third party has moved to an image of the saga's before that held all of its disk, and whose QEMU ends before it is
 * put back: an offline recovery copies neither image over the other, and removes none of both, whichever side is said.
 */
import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/index.ts';
import { sagaToken } from '../../src/plan/names.ts';
import { virtualImages } from '../../src/sim/index.ts';
import { entered, live, rejection, smallSim } from './lives.ts';

const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];
const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const [MOVED_TO, MOVED_FROM] = [NEW[1] ?? '', OLD[1] ?? ''];
const DISKS = NEW.map((to, index) => ({ disk: `dev${index}`, to }));

async function movedAndDead() {
  const sim = smallSim({ timing: { copyBytesPerMs: 20_000 } });
  await sim.advance(3);
  const { engine, guest, journal } = live(sim);
  const saga = await sim.run(engine.copy({ ...guest, id: 's', parallel: 1, disks: DISKS }));
  await sim.run(entered(saga, 'mirrorDisks'));
  sim.world.inject('qom-set', { path: 'dev1', property: 'drive', value: `bs-${sagaToken('s')}-1` });
  expect(await sim.run(saga.result)).toMatchObject({ outcome: 'needsRecovery' });
  await sim.advance(20);
  sim.kill();
  return { sim, journal };
}

describe('a drive that was set to an image before its mirror', () => {
  test.each([{ front: 'old', boot: OLD } as const, { front: 'new', boot: NEW } as const])(
    'is refused offline, and with --front $front both images stay, and hold what they held',
    async ({ front, boot }) => {
      const { sim, journal } = await movedAndDead();
      const held = [MOVED_FROM, MOVED_TO].map(file => sim.world.readFile(file));
      expect(held.every(({ length }) => length > 0)).toBe(true);
      const parts = { files: sim.files, images: virtualImages(sim), clock: sim.clock, qemu: 'dead' } as const;

      const refusal = await rejection(sim.run(recoverOffline(journal, 's', parts)));
      expect(refusal).toMatchObject({ code: 'JOURNAL_BEHIND', disk: 'dev1' });
      expect(refusal.message).toContain(
        `had moved it to ${MOVED_TO} before that held what ${MOVED_FROM} holds`,
      );
      expect(refusal.message).toContain('--front old');

      const result = await sim.run(recoverOffline(journal, 's', { ...parts, front }));
      expect(result.boot?.map(({ file }) => file)).toEqual(boot);
      expect([MOVED_FROM, MOVED_TO].map(file => sim.world.readFile(file))).toEqual(held);
      if (front === 'old') expect(result.leftovers).toEqual([expect.stringContaining(`${MOVED_TO} (`)]);
    },
  );
});
