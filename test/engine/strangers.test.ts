/** What belongs to others is neither touched nor told as the saga's own. */
import { describe, expect, test } from 'vitest';
import type { Files } from '../../src/images/files.ts';
import { live, smallSim } from './lives.ts';

const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];
const OVERLAYS = NEW.map((overlay, index) => ({ disk: `dev${index}`, overlay }));

describe('a file that a third party puts where a new image was to be, at the last moment', () => {
  test('stays, and is not told as a leftover', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const files: Files = {
      ...sim.files,
      async createExclusive(path, like, claim) {
        if (path === NEW[1]) await sim.files.createExclusive(path, like, 'a third party');
        return sim.files.createExclusive(path, like, claim);
      },
    };
    const saga = await sim.run(engine.snapshot({ ...guest, files, id: 's', disks: OVERLAYS }));
    const result = await sim.run(saga.result);
    expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'TARGET_EXISTS', disk: 'dev1' } });
    expect(result.leftovers).toEqual([]);
    expect(sim.files.list()).toContain(NEW[1]);
    expect(sim.files.list()).not.toContain(NEW[0]);
  });
});

describe('a guest that its administrator stops while a snapshot is refused', () => {
  test('is not resumed by the saga, which has taken nothing', async () => {
    const sim = smallSim({
      faults: [
        { kind: 'refuse', command: 'transaction' },
        { kind: 'otherClient', execute: 'stop', at: { when: 'after', command: 'query-status', nth: 3 } },
      ],
    });
    const { engine, guest, sent } = live(sim);
    const saga = await sim.run(engine.snapshot({ ...guest, id: 's', disks: OVERLAYS }));
    expect((await sim.run(saga.result)).outcome).toBe('rolledBack');
    expect(sent.filter(name => name === 'cont' || name === 'stop')).toEqual([]);
    expect(sim.world.running).toBe(false);
  });
});
