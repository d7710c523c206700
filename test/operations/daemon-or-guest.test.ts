/** Whom a monitor belongs to: a guest whose monitor lets little through is planned for as a guest. */
import { expect, test } from 'vitest';
import { createEngine, memoryJournal } from '../../src/index.ts';
import { createSim, type SimOptions } from '../../src/sim/create-sim.ts';
import { createVirtualClock } from '../../src/sim/host/virtual-clock.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';

async function plan(options: SimOptions) {
  const clock = createVirtualClock();
  const sim = createSim({ ...options, clock });
  const engine = createEngine({ journal: memoryJournal(undefined, { clock }), clock });
  const disks = [{ disk: 'disk0', overlay: '/images/new0.qcow2' }];
  return clock.run(engine.planSnapshot({ vm: 'guest', qmp: sim.connect, files: sim.files, disks }));
}

test('a guest is one whatever its monitor does not know of names and identities', async () => {
  const faults = ['query-uuid', 'query-name'].map(
    (command): Fault => ({ kind: 'refuse', lasting: true, class: 'CommandNotFound', command }),
  );
  expect((await plan({ faults })).withoutGuest).toBeUndefined();
  expect((await plan({ storageDaemon: true, profile: '10.0' })).withoutGuest).toBe(true);
});
