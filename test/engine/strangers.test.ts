/** What belongs to others is neither touched nor told as the saga's own. */
import { describe, expect, test } from 'vitest';
import type { Files } from '../../src/images/files.ts';
import { diskNames, sagaToken } from '../../src/plan/names.ts';
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

describe("a third party's overlay above a disk that is to have one of the saga's", () => {
  test('rolls the snapshot back before QEMU is asked for it, since QEMU takes it where the disk leaves with theirs', async () => {
    const sim = smallSim({
      faults: [
        {
          ...{ kind: 'otherClient', at: { when: 'after', command: 'object-add' } },
          execute: 'blockdev-snapshot-sync',
          arguments: {
            'node-name': 'disk1',
            'snapshot-file': '/images/theirs.qcow2',
            'snapshot-node-name': 'theirs',
          },
        },
        {
          ...{ kind: 'otherClient', at: { when: 'before', command: 'transaction' } },
          ...{ execute: 'device_del', arguments: { id: 'dev1' } },
        },
      ],
    });
    const { engine, guest, sent } = live(sim);
    const saga = await sim.run(engine.snapshot({ ...guest, id: 's', disks: OVERLAYS }));
    const result = await sim.run(saga.result);
    expect(result).toMatchObject({
      outcome: 'rolledBack',
      error: { code: 'FOREIGN', disk: 'dev1' },
      leftovers: [],
    });
    expect(sent).not.toContain('transaction');
    expect(sim.world.fronts().map(({ path }) => path)).toEqual([
      '/images/disk0.qcow2',
      '/images/theirs.qcow2',
    ]);
  });
});

describe("an overlay of the saga's that a third party puts in front before the snapshot", () => {
  test('is not taken for the snapshot, which has one instant of all disks', async () => {
    const sim = smallSim({
      faults: [
        { kind: 'refuse', command: 'query-status', nth: 3 },
        ...[0, 1].map(index => ({
          ...({ kind: 'otherClient', at: { when: 'after', command: 'query-migrate', nth: 3 } } as const),
          execute: 'blockdev-snapshot',
          arguments: { node: `disk${index}`, overlay: diskNames(sagaToken('s'), index).image },
        })),
      ],
    });
    const { engine, guest } = live(sim);
    const saga = await sim.run(engine.snapshot({ ...guest, id: 's', disks: OVERLAYS }));
    const result = await sim.run(saga.result);
    expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'FOREIGN' }, leftovers: [] });
    expect(sim.world.fronts().map(({ path }) => path)).toEqual([
      '/images/disk0.qcow2',
      '/images/disk1.qcow2',
    ]);
  });
});
