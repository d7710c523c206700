/**
 * What a process has found in QEMU of an older journal counts when it is asked again where no QEMU answers any more: without QEMU it still
 * has to be said where the guest ran.
 */
import { expect, test } from 'vitest';
import { recoverOffline } from '../../src/index.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import { virtualImages } from '../../src/sim/index.ts';
import { entered, live, rejection, smallSim } from './lives.ts';

const DISKS = [0, 1].map(index => ({ disk: `dev${index}`, overlay: `/images/new${index}.qcow2` }));

/** What an older copy of the journal begins with, beside a guest on the overlays of a snapshot that it knows nothing of. */
async function behind() {
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
  const parts = { files: sim.files, images: virtualImages(sim), clock: sim.clock } as const;
  return {
    sim,
    async resume() {
      const resumed = await sim.run(engine.resume('s', { ...guest, force: true }));
      return sim.run(resumed.result);
    },
    refusal: (how: { readonly qemu: 'dead' } | { readonly qmp: Connect }) =>
      rejection(sim.run(recoverOffline(journal, 's', { ...parts, ...how }))),
    guest,
  };
}

const REMEMBERED = expect.objectContaining({
  code: 'JOURNAL_BEHIND',
  message: expect.stringContaining('when QEMU was asked last'),
});

test('what QEMU has told of an older journal is not forgotten where none answers later', async () => {
  const { sim, resume, refusal } = await behind();
  expect(await resume()).toMatchObject({ outcome: 'needsRecovery', error: { code: 'JOURNAL_BEHIND' } });
  await sim.advance(20);
  sim.kill();
  expect(await resume()).toMatchObject({ outcome: 'needsRecovery', error: { code: 'QMP_CONNECT' } });
  expect(await refusal({ qemu: 'dead' })).toEqual(REMEMBERED);
});

test('nor is it where an offline recovery has found it out while QEMU ran', async () => {
  const { sim, refusal, guest } = await behind();
  expect(await refusal(guest)).toMatchObject({ code: 'JOURNAL_BEHIND' });
  await sim.advance(20);
  sim.kill();
  expect(await refusal({ qemu: 'dead' })).toEqual(REMEMBERED);
});
