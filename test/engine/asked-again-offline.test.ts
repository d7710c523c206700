/**
 * An offline recovery that fails is asked again, by the process that has asked it first as by any other one: it holds its saga only while
 * it is at work, and what it is told may differ until it has begun.
 */
import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { strides } from '../tiers/tier.ts';
import { live, rejection, smallSim } from './lives.ts';

const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];
const LOOKS_MAX = 200;

/** A copy whose mirrors were READY when all died. */
async function readyCopy(options: Parameters<typeof memoryJournal>[1] = {}) {
  const sim = smallSim({ disks: 2 });
  const life = live(sim);
  const disks = NEW.map((to, index) => ({ disk: `dev${index}`, to }));
  const saga = await sim.run(life.engine.copy({ ...life.guest, id: 's', finish: 'leave', disks }));
  await sim.run(saga.result);
  const state = life.die();
  sim.kill();
  return { sim, journal: memoryJournal(state, options) };
}

describe('an offline recovery', () => {
  test('that failed at any of its looks comes to its end when the same process asks again', async () => {
    let failed = 0;
    for (const nth of strides(2)(LOOKS_MAX)) {
      const { sim, journal } = await readyCopy();
      const images = virtualImages(sim);
      let looks = 0;
      const look: typeof images.look = image => {
        looks += 1;
        if (looks === nth) throw new Error('the directory does not answer');
        return images.look(image);
      };
      const options = { files: sim.files, images, front: 'old' } as const;
      const first = await recoverOffline(journal, 's', { ...options, images: { ...images, look } }).catch(
        error => error as Error,
      );
      if (!(first instanceof Error)) break;
      failed += 1;
      expect(first.message).toContain('does not answer');
      const begun = journal.records('s').some(({ step }) => step === 'recoverOffline');
      const { outcome, boot = [] } = await recoverOffline(journal, 's', options);
      expect({ nth, begun, outcome }).toEqual({ nth, begun, outcome: 'rolledBack' });
      expect(judgeWrites(new Map(boot.map(({ file }, disk) => [disk, sim.world.readFile(file)])), 2)).toEqual(
        {
          upTo: sim.world.guest.acknowledged,
          why: undefined,
        },
      );
    }
    expect(failed).toBeGreaterThan(3);
  });

  test('is told another side while the chain below the one that was said is not whole', async () => {
    // An older copy of it.
    const { sim, journal } = await readyCopy({ beside: { written: 1_000 } });
    const { host } = sim.world;
    const [, last = ''] = NEW;
    const image = host.image(last);
    if (image !== undefined)
      host.write(last, { ...image, backing: '/images/gone.qcow2', backingFormat: 'qcow2' });
    const images = virtualImages(sim);
    const options = { files: sim.files, images };
    expect(await rejection(recoverOffline(journal, 's', { ...options, front: 'new' }))).toMatchObject({
      code: 'FILES',
      message: expect.stringContaining('/images/gone.qcow2 is needed and is not there'),
    });
    expect(images.changes).toEqual([]);
    const result = await recoverOffline(journal, 's', { ...options, front: 'old' });
    expect(result.boot?.map(({ file }) => file)).toEqual(OLD);
  });
});
