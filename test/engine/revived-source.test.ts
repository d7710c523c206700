/** Going back to old images whose nodes QEMU has dropped at the switch, because it had opened them by itself. */
import { expect, test } from 'vitest';
import { openQmpClient } from '../../src/qmp/client.ts';
import type { Connect, Json } from '../../src/qmp/transport.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { live, smallSim } from './lives.ts';

const NAMES = [0, 1] as const;
const overlays = NAMES.map(disk => ({ disk: `dev${disk}`, overlay: `/images/snap${disk}.qcow2` }));
const targets = NAMES.map(disk => ({ disk: `dev${disk}`, to: `/images/copy${disk}.qcow2` }));

/** The second `job-finalize` is for a job that there is not. */
function refuseFinalize(open: Connect): Connect {
  let count = 0;
  return async handlers => {
    const transport = await open(handlers);
    const bend = (message: Json): Json => {
      const command = message as { readonly execute: string; readonly id: Json };
      if (command.execute !== 'job-finalize') return message;
      count += 1;
      return count === 2 ? { ...command, arguments: { id: 'nowhere' } } : message;
    };
    return { send: messages => transport.send(messages.map(bend)), close: () => transport.close() };
  };
}

async function openFiles(sim: Sim): Promise<readonly string[]> {
  const client = await openQmpClient(sim.connect, { clock: sim.clock });
  const nodes = await client.execute('query-named-block-nodes', { flat: true });
  client.close();
  return nodes.filter(node => node.drv !== 'file').map(node => node.file);
}

test('opens them again on what is still open below them, so that no image is open twice', async () => {
  const sim = smallSim();
  const { engine, guest } = live(sim);
  const without = ['blockdev-create']; // QEMU then makes and opens the overlays itself
  const snapshot = await sim.run(engine.snapshot({ ...guest, disks: overlays, without }));
  expect((await sim.run(snapshot.result)).outcome).toBe('committed');
  const qmp = refuseFinalize(guest.qmp);
  const copy = await sim.run(engine.copy({ ...guest, qmp, disks: targets, strategy: 'finalize' }));
  expect(await sim.run(copy.result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
  const snaps = overlays.map(({ overlay }) => overlay);
  expect(sim.world.fronts().map(front => front.path)).toEqual(snaps);
  const olds = NAMES.map(disk => `/images/disk${disk}.qcow2`);
  expect((await sim.run(openFiles(sim))).toSorted()).toEqual([...olds, ...snaps]);
});
