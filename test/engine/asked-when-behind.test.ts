/**
 * What a process has found in QEMU of an older journal counts when it is asked again where no QEMU answers any more: without QEMU it still
 * has to be said where the guest ran.
 */
import { expect, test } from 'vitest';
import { recoverOffline } from '../../src/index.ts';
import { virtualImages } from '../../src/sim/index.ts';
import { entered, live, rejection, smallSim } from './lives.ts';

const DISKS = [0, 1].map(index => ({ disk: `dev${index}`, overlay: `/images/new${index}.qcow2` }));

test('what QEMU has told of an older journal is not forgotten where none answers later', async () => {
  const sim = smallSim();
  const first = live(sim);
  const saga = await sim.run(first.engine.snapshot({ ...first.guest, id: 's', vm: 'web', disks: DISKS }));
  await sim.run(entered(saga, 'unmarkQemu'));
  const left = first.die();
  const isLater = ({ step }: { readonly step: string }) => step.endsWith('takeSnapshot');
  const sagas = left.sagas.map(({ records, ...row }) => ({
    ...row,
    records: records.slice(0, records.findIndex(isLater)),
  }));
  const { engine, guest, journal } = live(sim, { ...left, sagas });
  const resume = async () => {
    const resumed = await sim.run(engine.resume('s', { ...guest, force: true }));
    return sim.run(resumed.result);
  };
  expect(await resume()).toMatchObject({ outcome: 'needsRecovery', error: { code: 'JOURNAL_BEHIND' } });
  await sim.advance(20);
  sim.kill();
  expect(await resume()).toMatchObject({ outcome: 'needsRecovery', error: { code: 'QMP_CONNECT' } });
  const parts = { files: sim.files, images: virtualImages(sim), clock: sim.clock, qemu: 'dead' } as const;
  const refusal = await rejection(sim.run(recoverOffline(journal, 's', parts)));
  expect(refusal).toMatchObject({ code: 'JOURNAL_BEHIND' });
  expect(refusal.message).toContain('when QEMU was asked last');
});
