/** Options of the simulator from callers without types: a word that there is not is refused, and never taken as not said. */
import { expect, test } from 'vitest';
import { openQmpClient } from '../../src/qmp/client.ts';
import { createSim, type Fault, PROFILE_NAMES, type SimOptions } from '../../src/sim/index.ts';
import { refused } from '../journal/contract.ts';

test.each([undefined, 'web'])('query-name answers the name of the guest: %s', async name => {
  const sim = createSim(name === undefined ? {} : { name });
  const client = await sim.run(openQmpClient(sim.connect, { clock: sim.clock }));
  expect(await sim.run(client.execute('query-name'))).toEqual({ name: name ?? 'sim' });
  sim.kill();
  sim.restart();
  const next = await sim.run(openQmpClient(sim.connect, { clock: sim.clock }));
  expect(await sim.run(next.execute('query-name'))).toEqual({ name: name ?? 'sim' });
});

const options = (given: object) => given as SimOptions;
const faulty = (fault: object) => options({ faults: [{ kind: 'replyLost' }, fault] });

test.each([
  [['profile'], options({ profile: '9.9' })],
  [['profile'], options({ profile: 'constructor' })],
  [['style'], options({ style: 'drives' })],
  [['bus'], options({ bus: 'virtio' })],
  [['format'], options({ format: 'vmdk' })],
  [['runState'], options({ runState: 'stopped' })],
  [['filters', 1], options({ filters: ['throttle', 'mirror'] })],
  [['name'], options({ name: '' })],
  [['name'], options({ name: 7 })],
  [['faults', 1, 'kind'], faulty({ kind: 'fire' })],
  [['faults', 1, 'kind'], faulty({})],
  [['faults', 1, 'class'], faulty({ kind: 'refuse', class: 'Generic' })],
  [['faults', 1, 'effect'], faulty({ kind: 'cut', effect: 'none' })],
  [['faults', 1, 'effect'], faulty({ kind: 'cut' })],
  [['faults', 1, 'how'], faulty({ kind: 'event', how: 'gone' })],
  [['faults', 1, 'how'], faulty({ kind: 'file', path: '/a', how: 'move', at: { when: 'at', ms: 1 } })],
  [['faults', 1, 'what'], faulty({ kind: 'kill', what: 'guest', at: { when: 'at', ms: 1 } })],
  [['faults', 1, 'at', 'when'], faulty({ kind: 'kill', what: 'qemu', at: { when: 'during' } })],
  [['faults', 1, 'at', 'when'], faulty({ kind: 'guestSuspend' })],
])('refuses a wrong %j', (path, given) => {
  expect(() => createSim(given)).toThrow(
    expect.objectContaining({
      code: 'REQUEST_INVALID',
      issues: [{ path, message: expect.stringMatching(/^one of|^a text/) }],
    }),
  );
});

test('refuses a fault that is armed later and is none', () => {
  const sim = createSim();
  expect(() => sim.armFault({ kind: 'fire' } as object as Fault)).toThrow(refused('REQUEST_INVALID', /kind/));
});

test('takes each word that there is', () => {
  for (const profile of PROFILE_NAMES) createSim({ profile });
  for (const bus of [
    'virtio-blk',
    'scsi-hd',
    'ide-hd',
    'nvme',
    'usb-storage',
    'sd-card',
    'scsi-block',
  ] as const)
    createSim({ bus });
  createSim({ style: 'drive', format: 'raw', runState: 'paused' });
});
