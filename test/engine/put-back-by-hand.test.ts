/**
 * A third party sets a disk back to the overlay that was committed, and the guest writes on there: without QEMU that overlay is
 * neither taken for an unfinished copy, nor given up.
 */
import { expect, test } from 'vitest';
import { recoverOffline } from '../../src/index.ts';
import { virtualImages } from '../../src/sim/index.ts';
import { live, rejection, smallSim } from './lives.ts';

const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];

test('a disk that was set back to its overlay behind the commit is refused offline until its side is said', async () => {
  const sim = smallSim({ profile: '11.1', backingLayers: 1 });
  const { engine, guest, journal } = live(sim);
  const disks = [0, 1].map(index => ({ disk: `dev${index}` }));
  await sim.advance(5);
  const saga = await sim.run(engine.commit({ ...guest, id: 's', disks, active: true, strategy: 'finalize' }));
  saga.subscribe(notice => {
    if (notice.type !== 'event' || !notice.state.endsWith('.dismissMirrors')) return;
    const put = { path: 'dev1', property: 'drive', value: 'disk1' };
    expect(sim.world.inject('qom-set', put)).toEqual({ return: {} });
  });
  expect(await sim.run(saga.result)).toMatchObject({
    outcome: 'needsRecovery',
    error: { code: 'VERIFY_FAILED', disk: 'dev1' },
  });
  await sim.advance(20);
  sim.kill();

  const parts = { files: sim.files, images: virtualImages(sim), clock: sim.clock, qemu: 'dead' } as const;
  const refusal = await rejection(sim.run(recoverOffline(journal, 's', parts)));
  expect(refusal).toMatchObject({ code: 'JOURNAL_BEHIND', disk: 'dev1' });
  expect(refusal.message).toContain('/images/disk1.qcow2');
  const result = await sim.run(recoverOffline(journal, 's', { ...parts, front: 'old' }));
  expect(result.outcome).toBe('rolledBack');
  expect(result.boot?.map(({ file }) => file)).toEqual(OLD);
  expect(sim.files.list()).toEqual(expect.arrayContaining(OLD));
});
