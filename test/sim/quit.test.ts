/** What a simulated QEMU does to its jobs when it is asked to end, as real QEMU 7.2 and 11.1 were seen to do. */
import { expect, test } from 'vitest';
import { createSim } from '../../src/sim/create-sim.ts';

test.each([
  ['at READY is ready', 'standby', 'ready', {}],
  ['while it copies is running', 'paused', 'running', { speed: 1 }],
])(
  'a mirror that a client has paused %s again before it is cancelled by quit',
  async (_, held, again, how) => {
    const sim = createSim({ disks: 1, sizeBytes: 1024 * 1024 });
    const events: string[] = [];
    const transport = await sim.run(
      sim.connect({
        onMessage(message) {
          const { event, data } = message as { event?: string; data?: { id?: string; status?: string } };
          if (event === 'JOB_STATUS_CHANGE' && data?.id === 'mirror') events.push(data.status ?? '');
        },
        onClose: () => undefined,
      }),
    );
    const send = async (execute: string, args: object = {}) => {
      transport.send([{ execute, arguments: { ...args } }]);
      await sim.advance(20);
    };
    await send('qmp_capabilities');
    await send('blockdev-create', {
      'job-id': 'make',
      options: { driver: 'file', filename: '/images/t.raw', size: 1024 * 1024 },
    });
    await send('blockdev-add', { driver: 'file', 'node-name': 't', filename: '/images/t.raw' });
    await send('blockdev-mirror', { 'job-id': 'mirror', device: 'disk0', target: 't', sync: 'full', ...how });
    await send('job-pause', { id: 'mirror' });
    expect(events.at(-1)).toBe(held);
    await send('quit');
    expect(events.slice(events.lastIndexOf(held)).slice(0, 3)).toEqual([held, again, 'aborting']);
  },
);
