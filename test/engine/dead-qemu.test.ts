/** A recovery without QEMU that is told that it is dead, with what a user of the package has for tests. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { recoverOffline } from '../../src/index.ts';
import { virtualImages } from '../../src/sim/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { entered, live, rejection, smallSim } from './lives.ts';

const DISKS = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));

async function dead() {
  const sim = smallSim();
  const life = live(sim);
  const saga = await sim.run(life.engine.copy({ ...life.guest, id: 's', disks: DISKS, bandwidth: 1024 }));
  saga.ended.catch(() => undefined);
  await sim.run(entered(saga, 'mirrorDisks'));
  const state = life.die();
  sim.kill();
  const journal = live(sim, state).journal;
  return { journal, options: { files: sim.files, images: virtualImages(sim), clock: sim.clock } };
}

/** Something listens at the old address, and says nothing. */
async function mute(): Promise<string> {
  const address = join(temporaryFolder(), 'old.qmp');
  const server = createServer();
  await new Promise<void>(resolve => server.listen(address, resolve));
  onTestFinished(() => void server.close());
  return address;
}

test('nothing is asked at its address, where something else may be by now', async () => {
  const { journal, options } = await dead();
  const { outcome, boot } = await recoverOffline(journal, 's', {
    ...options,
    qmp: await mute(),
    qemu: 'dead',
  });
  expect(outcome).toBe('rolledBack');
  expect(boot?.map(({ file }) => file)).toEqual(['/images/disk0.qcow2', '/images/disk1.qcow2']);
});

test('without that word it is refused where something is there that does not answer', async () => {
  const { journal, options } = await dead();
  const refuse = () => Promise.reject(new Error('no route to host'));
  expect((await rejection(recoverOffline(journal, 's', { ...options, qmp: refuse }))).code).toBe(
    'QMP_CONNECT',
  );
  const { outcome } = await recoverOffline(journal, 's', { ...options, qmp: refuse, qemu: 'dead' });
  expect(outcome).toBe('rolledBack');
});
