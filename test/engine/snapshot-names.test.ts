/** What a snapshot makes from its own name, and what it carries on from the images below. */
import { describe, expect, test } from 'vitest';
import { openQmpClient } from '../../src/qmp/client.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { live, rejection, smallSim } from './lives.ts';

const filesOf = (sim: Sim) => sim.world.fronts().map(({ path }) => path);
const DISKS = [{ disk: 'dev0' }, { disk: 'dev1' }];

describe("a snapshot's name", () => {
  test("names the overlays after the active images' files", async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const disks = [{ disk: 'dev0' }, { disk: 'dev1', overlay: '/images/other.qcow2' }];
    const saga = await sim.run(engine.snapshot({ ...guest, name: 'before-upgrade', disks }));
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    expect(filesOf(sim)).toEqual(['/images/disk0.before-upgrade', '/images/other.qcow2']);
  });

  test.each([
    ['a name of another directory', { name: '../x', disks: DISKS }],
    ['a hidden name', { name: '.x', disks: DISKS }],
    ['no name and no file', { disks: DISKS }],
    ["the active image's own ending", { name: 'qcow2', disks: DISKS }],
  ])('is refused: %s', async (_what, request) => {
    const sim = smallSim();
    const { engine, guest, sent } = live(sim);
    const error = await sim.run(rejection(engine.snapshot({ ...guest, ...request })));
    expect(error.code).toBe('REQUEST_INVALID');
    expect(sent.filter(command => !/^(query-|qom-list|qmp_|x-debug-)/.test(command))).toEqual([]);
  });
});

test.each([
  ['transaction', []],
  ['transactionSync', ['blockdev-add']],
])('bitmaps that record go on in the overlays, persistent or not: %s', async (method, without) => {
  const sim = smallSim();
  const { engine, guest } = live(sim);
  const admin = await sim.run(openQmpClient(sim.monitor('admin'), { clock: sim.clock }));
  const add = (name: string, options: object) =>
    sim.run(admin.execute('block-dirty-bitmap-add', { node: 'disk1', name, ...options }));
  await add('backup', { granularity: 131_072, persistent: true });
  await add('passing', { persistent: false });
  await add('asleep', { persistent: true, disabled: true });
  const saga = await sim.run(engine.snapshot({ ...guest, name: 's1', disks: DISKS, without }));
  expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed', strategy: method });
  const nodes = await sim.run(admin.execute('query-named-block-nodes', { flat: true }));
  const [front] = nodes.filter(({ file, drv }) => file === '/images/disk1.s1' && drv === 'qcow2');
  expect(front?.['dirty-bitmaps']).toMatchObject([
    { name: 'backup', granularity: 131_072, persistent: true, recording: true },
    { name: 'passing', persistent: false, recording: true },
  ]);
});
