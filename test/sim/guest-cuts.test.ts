/** What a test of the engine relies on: a cut that is none, and a write that is lost, show. */

import { expect, test } from 'vitest';
import { createSim } from '../../src/sim/index.ts';
import { addImage, mirrorReady, talk } from './talk.ts';

test('the guest writes in order across its disks, and its disks are a consistent cut at every moment', async () => {
  const sim = createSim({ disks: 3 });
  let before = 0;
  for (let i = 0; i < 20; i += 1) {
    await sim.advance(7.3);
    const { acknowledged } = sim.world.guest;
    expect(acknowledged).toBeGreaterThan(before);
    expect(sim.world.cutOfFronts()).toEqual({ consistent: true, upTo: acknowledged, why: undefined });
    before = acknowledged;
  }
});

test('the guest writes nothing while it is stopped, and while one of its disks is PENDING', async () => {
  const sim = createSim({ disks: 2 });
  const to = await talk(sim);
  await addImage(sim, to, 't');
  await mirrorReady(sim, to, 'disk1', 't', 'm');
  await to.execute('stop');
  const stopped = sim.world.guest.acknowledged;
  await sim.advance(50);
  expect(sim.world.guest.acknowledged).toBe(stopped);
  await to.execute('cont');
  await to.execute('job-complete', { id: 'm' });
  await sim.advance(5);
  const pending = sim.world.guest.acknowledged;
  expect(pending).toBeGreaterThan(stopped);
  await sim.advance(50);
  expect(sim.world.guest.acknowledged).toBe(pending);
  await to.execute('job-finalize', { id: 'm' });
  await sim.advance(5);
  expect(sim.world.guest.acknowledged).toBeGreaterThan(pending);
  expect(sim.world.fronts()[1]?.path).toBe('/images/t.qcow2');
  expect(sim.world.cutOfFronts().consistent).toBe(true);
});

test('targets of mirrors that are finished one after the other under a running guest are no cut', async () => {
  const sim = createSim({ disks: 2 });
  const to = await talk(sim);
  await addImage(sim, to, 't');
  await addImage(sim, to, 'u');
  await mirrorReady(sim, to, 'disk0', 't', 'm');
  await mirrorReady(sim, to, 'disk1', 'u', 'n');
  await to.execute('block-job-cancel', { device: 'm', force: false });
  await sim.advance(1);
  await to.execute('job-finalize', { id: 'm' });
  await sim.advance(20);
  await to.execute('block-job-cancel', { device: 'n', force: false });
  await sim.advance(1);
  await to.execute('job-finalize', { id: 'n' });
  const cut = sim.world.cutOfFiles(['/images/t.qcow2', '/images/u.qcow2']);
  expect(cut.consistent).toBe(false);
  expect(cut.why).toMatch(/disk 0 holds write \d+ where write \d+ was made/);
});

test('the dirty count of a READY mirror is what the guest wrote a moment ago, and 0 once it has stopped', async () => {
  const sim = createSim({ disks: 1, timing: { guestWriteMs: 0.01 } });
  const to = await talk(sim);
  await addImage(sim, to, 't');
  await mirrorReady(sim, to, 'disk0', 't', 'm');
  const count = async (): Promise<number> => {
    const { return: nodes } = await to.execute('query-named-block-nodes');
    const source = (nodes as readonly { 'node-name': string; 'dirty-bitmaps'?: { count: number }[] }[]).find(
      node => node['node-name'] === 'disk0',
    );
    return source?.['dirty-bitmaps']?.[0]?.count ?? -1;
  };
  expect(await count()).toBe(65_536);
  await to.execute('stop');
  await sim.advance(1);
  expect(await count()).toBe(0);
  expect(sim.world.cutOfFiles(['/images/t.qcow2']).upTo).toBe(sim.world.guest.acknowledged);
});

test('write-blocking mirrors never lag', async () => {
  const sim = createSim({ disks: 1, timing: { guestWriteMs: 0.01 } });
  const to = await talk(sim);
  await addImage(sim, to, 't');
  const copy = { 'job-id': 'm', device: 'disk0', target: 't', sync: 'full', 'copy-mode': 'write-blocking' };
  await to.execute('blockdev-mirror', copy);
  await sim.advance(100);
  expect(sim.world.cutOfFiles(['/images/t.qcow2']).upTo).toBe(sim.world.guest.acknowledged);
});

test('what was flushed survives the host, and only that for certain', async () => {
  const fates = new Set<number>();
  for (let seed = 1; seed <= 24; seed += 1) {
    const sim = createSim({ disks: 1, seed });
    const to = await talk(sim);
    await sim.advance(10);
    await to.execute('stop');
    const flushed = sim.world.guest.acknowledged;
    await to.execute('cont');
    await sim.advance(10);
    const written = sim.world.guest.acknowledged;
    sim.killHost();
    const { upTo } = sim.world.cutOfFiles(['/images/disk0.qcow2']);
    expect([flushed, written]).toContain(upTo);
    fates.add(upTo === flushed ? 0 : 1);
  }
  expect(fates).toEqual(new Set([0, 1]));
});

test('a kill of QEMU loses nothing that was acknowledged, and QEMU starts again on the same images', async () => {
  const sim = createSim({ disks: 2 });
  await sim.advance(33);
  const { acknowledged } = sim.world.guest;
  sim.kill();
  expect(sim.world.alive).toBe(false);
  await expect(sim.connect({ onMessage() {}, onClose() {} })).rejects.toMatchObject({ code: 'QMP_CONNECT' });
  sim.restart();
  expect(sim.world.cutOfFronts()).toEqual({ consistent: true, upTo: acknowledged, why: undefined });
  const to = await talk(sim);
  expect(await to.execute('query-jobs')).toMatchObject({ return: [] });
});

test('started again, a guest can go on behind the newest write that its disks hold', async () => {
  const sim = createSim({ disks: 2 });
  await sim.advance(33);
  const { acknowledged } = sim.world.guest;
  sim.kill();
  sim.restart(undefined, { writesOn: true });
  await sim.advance(33);
  const { consistent, upTo } = sim.world.cutOfFronts();
  expect([consistent, upTo]).toEqual([true, sim.world.guest.acknowledged]);
  expect(upTo).toBeGreaterThan(acknowledged);
});

test('a guest that runs notices what it has lost, also where it writes over that at once', async () => {
  const sim = createSim({ disks: 2, timing: { guestWriteMs: 0.05 } });
  const to = await talk(sim);
  await addImage(sim, to, 't');
  await mirrorReady(sim, to, 'disk1', 't', 'm');
  await to.execute('block-job-cancel', { device: 'm', force: false });
  await sim.advance(1);
  await to.execute('job-finalize', { id: 'm' });
  await sim.advance(20);
  await to.execute('stop');
  await to.execute('job-dismiss', { id: 'm' });
  await to.execute('qom-set', {
    path: '/machine/peripheral/dev1/virtio-backend',
    property: 'drive',
    value: 't',
  });
  await sim.advance(20);
  expect(sim.world.guest.misreads).toEqual([]);
  await to.execute('cont');
  await sim.advance(20);
  const misreads = [...sim.world.guest.misreads];
  expect(misreads.length).toBeGreaterThan(0);
  expect(misreads.every(({ disk, held, wrote }) => disk === 1 && held < wrote)).toBe(true);
  expect(new Set(misreads.map(({ atMs }) => atMs)).size).toBe(1);
  // It goes on from there: what it has noticed once is no news.
  await to.execute('stop');
  await to.execute('cont');
  await sim.advance(20);
  expect(sim.world.guest.misreads).toHaveLength(misreads.length);
});
