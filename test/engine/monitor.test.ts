/** A saga's connection to its QEMU, and who opens it again when it broke. */
import { expect, test } from 'vitest';
import { Monitor } from '../../src/engine/connection/monitor.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import { createSim } from '../../src/sim/create-sim.ts';
import { createVirtualClock } from '../../src/sim/host/virtual-clock.ts';

const EVENTS_MAX = 10_000;

test('a broken connection is opened again once, however many ask at the same time: a monitor serves one client', async () => {
  const clock = createVirtualClock({ promisesOnly: true });
  const sim = createSim({ disks: 1, clock });
  let opened = 0;
  const connect: Connect = handlers => {
    opened += 1;
    return sim.connect(handlers);
  };
  const monitor = new Monitor(connect, clock);
  const both = await clock.run(
    (async () => {
      const first = await monitor.client();
      first.close();
      await first.closed;
      return Promise.all([monitor.client(), monitor.client()]);
    })(),
    EVENTS_MAX,
  );
  expect(both[1]).toBe(both[0]);
  expect(opened).toBe(2);
  monitor.close();
});
