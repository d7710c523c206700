/** A disk that a third party moves to its new image before that holds what the old one holds: nothing is copied over either. */
import { expect, test } from 'vitest';
import { sagaToken } from '../../src/plan/names.ts';
import { entered, live, smallSim } from './lives.ts';

const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];
const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const DISKS = NEW.map((to, index) => ({ disk: `dev${index}`, to }));

test.each([{ lack: [] }, { lack: ['blockdev-reopen'] }])(
  'a guest on an image that was not mirrored to yet waits there, and goes back once its drive is set back (without $lack)',
  async ({ lack }) => {
    const sim = smallSim({ timing: { copyBytesPerMs: 20_000 } });
    await sim.advance(3);
    const first = live(sim);
    const saga = await sim.run(
      first.engine.copy({ ...first.guest, id: 's', parallel: 1, disks: DISKS, without: [...lack] }),
    );
    await sim.run(entered(saga, 'mirrorDisks'));
    sim.world.inject('qom-set', { path: 'dev1', property: 'drive', value: `bs-${sagaToken('s')}-1` });
    expect(sim.world.fronts()[1]?.path).toBe(NEW[1]);
    const held = sim.world.readFile(OLD[1] ?? '');
    expect(held.length).toBeGreaterThan(0);

    const result = await sim.run(saga.result);
    expect(result).toMatchObject({ outcome: 'needsRecovery', error: { disk: 'dev1' } });
    expect(sim.world.running).toBe(true);
    expect(sim.world.readFile(OLD[1] ?? '')).toEqual(held);

    sim.world.inject('qom-set', { path: 'dev1', property: 'drive', value: 'disk1' });
    const next = live(sim, first.die());
    const resumed = await sim.run(next.engine.resume('s', next.guest));
    expect(await sim.run(resumed.result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(sim.world.fronts().map(({ path }) => path)).toEqual(OLD);
  },
);
