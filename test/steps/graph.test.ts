/** Images so high above others that QEMU has no room for the names that it makes up for them. */
import { expect, test } from 'vitest';
import { plainName, readGraph } from '../../src/guest/graph.ts';
import { readImageName } from '../../src/plan/image-ref.ts';
import { diskNames } from '../../src/plan/names.ts';
import type { DiskPlan } from '../../src/plan/plan.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import { createSim, type Sim } from '../../src/sim/index.ts';
import { addImage, type Talk, talk } from '../sim/talk.ts';

const names = diskNames('token', 0);
const DEEP = 60;
const isCutShort = (name: string) => readImageName(name).isCutShort;

/** Puts images above the disk that say nothing of what is below; returns the name of the uppermost. */
async function stack(sim: Sim, to: Talk): Promise<string> {
  let node = 'disk0';
  for (let layer = 1; layer <= DEEP; layer += 1) {
    const overlay = `layer${layer}`;
    await addImage(sim, to, overlay);
    expect(await to.execute('blockdev-snapshot', { node, overlay })).toMatchObject({ return: {} });
    node = overlay;
  }
  return node;
}

test('a filter above the old image does not show the new one, though both have the same name as far as QEMU tells', async () => {
  const sim = createSim({ disks: 1 });
  const to = await talk(sim);
  const front = await stack(sim, to);
  const goal = 'twin';
  await addImage(sim, to, goal, { backing: `layer${DEEP - 1}` });
  await to.execute('object-add', { 'qom-type': 'throttle-group', id: 'group' });
  const filter = { driver: 'throttle', 'node-name': names.filter, 'throttle-group': 'group' };
  await to.execute('blockdev-add', { ...filter, file: front });
  const place = { path: '/machine/peripheral/dev0/virtio-backend', property: 'drive', value: names.filter };
  await to.execute('stop');
  expect(await to.execute('qom-set', place)).toMatchObject({ return: {} });
  const qmp = await sim.run(openQmpClient(sim.monitor('steps'), { clock: sim.clock }));
  const disk = { qdev: place.path, goal, names, file: '', image: { file: '' } } as unknown as DiskPlan;
  const nodes = (await sim.run(qmp.execute('query-named-block-nodes', { flat: true })))
    .filter(node => [front, goal].includes(node['node-name'] ?? ''))
    .map(({ file }) => file);
  expect(nodes.map(isCutShort)).toEqual([true, true]);
  expect(nodes[0]).toBe(nodes[1]);
  expect((await sim.run(readGraph(qmp))).showsImage(disk)).toBe(false);
  await to.execute('blockdev-reopen', { options: [{ ...filter, file: goal }] });
  expect((await sim.run(readGraph(qmp))).showsImage(disk)).toBe(true);
  qmp.close();
});

test('the file behind a name that QEMU makes up is found, and a name that is cut short is told from that', () => {
  const whole = 'json:{"backing": null, "driver": "qcow2", "file": {"driver": "file", "filename": "/a"}}';
  expect([plainName(whole), isCutShort(whole)]).toEqual(['/a', false]);
  const cut = `${whole.slice(0, -9)}...`;
  expect([plainName(cut), isCutShort(cut)]).toEqual([cut, true]);
  expect([plainName('/json:{'), isCutShort('/json:{')]).toEqual(['/json:{', false]);
  expect([plainName('json:null'), isCutShort('json:null')]).toEqual(['json:null', false]);
});
