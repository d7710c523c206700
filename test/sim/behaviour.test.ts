/** What holds of the simulator without a real QEMU at hand; that it agrees with one is test/qemu's matter. */

import { describe, expect, test } from 'vitest';
import { openQmpClient } from '../../src/qmp/client.ts';
import { createSim, PROFILE_NAMES } from '../../src/sim/index.ts';
import { addImage, mirrorReady, talk } from './talk.ts';

test('a transaction that fails leaves graph and guest as they were, and the files that it made', async () => {
  const sim = createSim({ disks: 2 });
  const to = await talk(sim);
  const before = sim.world.qemu;
  const reply = await to.execute('transaction', {
    actions: [
      {
        type: 'blockdev-snapshot-sync',
        data: { 'node-name': 'disk0', 'snapshot-file': '/images/s0', 'snapshot-node-name': 's0' },
      },
      { type: 'abort', data: {} },
    ],
  });
  expect(reply).toMatchObject({ error: { desc: 'Transaction aborted using Abort action' } });
  expect(sim.world.qemu).toBe(before);
  expect(sim.files.exists('/images/s0')).toBe(true);
});

test('the same seed gives the same bytes on the wire, another seed other names', async () => {
  const run = async (seed: number): Promise<string> => {
    const sim = createSim({ disks: 2, seed });
    const to = await talk(sim);
    await addImage(sim, to, 't');
    await mirrorReady(sim, to, 'disk0', 't', 'm');
    await to.execute('query-named-block-nodes');
    return JSON.stringify(to.wire);
  };
  expect(await run(5)).toBe(await run(5));
  expect(await run(5)).not.toBe(await run(6));
});

test('a state that was looked at never changes afterwards', async () => {
  const sim = createSim({ disks: 1 });
  const to = await talk(sim);
  await addImage(sim, to, 't');
  const { qemu } = sim.world;
  const copy = structuredClone(qemu);
  await mirrorReady(sim, to, 'disk0', 't', 'm');
  await to.execute('job-complete', { id: 'm' });
  await sim.advance(5);
  await to.execute('job-finalize', { id: 'm' });
  expect(structuredClone(qemu)).toEqual(copy);
  expect(sim.world.qemu).not.toBe(qemu);
});

test('a monitor serves one client at a time; the next one gets its greeting when the first is gone', async () => {
  const sim = createSim({ disks: 1 });
  const first = await sim.connect({ onMessage() {}, onClose() {} });
  let greeted = false;
  await sim.connect({
    onMessage() {
      greeted = true;
    },
    onClose() {},
  });
  await sim.advance(1_000);
  expect(greeted).toBe(false);
  first.close();
  await sim.advance(1);
  expect(greeted).toBe(true);
});

test('commands before negotiation, and negotiation again, are refused', async () => {
  const sim = createSim({ disks: 1 });
  const seen: unknown[] = [];
  const transport = await sim.connect({ onMessage: message => seen.push(message), onClose() {} });
  transport.send([
    { execute: 'query-status' },
    { execute: 'qmp_capabilities', id: 1 },
    { execute: 'qmp_capabilities', id: 2 },
    { execute: 'stop', zork: 1, id: 3 },
    [],
  ]);
  await sim.advance(10);
  expect(seen.slice(1)).toEqual([
    {
      error: { class: 'CommandNotFound', desc: "Expecting capabilities negotiation with 'qmp_capabilities'" },
    },
    { return: {}, id: 1 },
    {
      id: 2,
      error: {
        class: 'CommandNotFound',
        desc: 'Capabilities negotiation is already complete, command ignored',
      },
    },
    { id: 3, error: { class: 'GenericError', desc: "QMP input member 'zork' is unexpected" } },
    { error: { class: 'GenericError', desc: 'QMP input must be a JSON object' } },
  ]);
});

describe('what kills real QEMU kills the simulated one', () => {
  test('a filter above a node whose device runs in an iothread, while the guest runs', async () => {
    const filter = { driver: 'throttle', 'node-name': 'F', 'throttle-group': 'G', file: 'disk0' };
    const sim = createSim({ disks: 1, iothreads: true });
    const to = await talk(sim);
    await to.execute('object-add', { 'qom-type': 'throttle-group', id: 'G' });
    await to.execute('stop');
    expect(await to.execute('blockdev-add', filter)).toMatchObject({ return: {} });
    await to.execute('blockdev-del', { 'node-name': 'F' });
    await to.execute('cont');
    expect(await to.execute('blockdev-add', filter)).toEqual({ closed: true });
    expect(sim.world.alive).toBe(false);
  });

  test('drive set to a node of another thread while the guest runs is refused, and works while it is stopped', async () => {
    const sim = createSim({ disks: 1, iothreads: true });
    const to = await talk(sim);
    await addImage(sim, to, 't');
    const set = { path: 'dev0', property: 'drive', value: 't' };
    expect(await to.execute('qom-set', set)).toMatchObject({
      error: { desc: 'Different aio context is not supported for new node' },
    });
    await to.execute('stop');
    expect(await to.execute('qom-set', set)).toMatchObject({ return: {} });
  });

  test('the nodes listed while a stream is concluded and not dismissed, on 7.2 and not on 10.0', async () => {
    for (const [profile, survives] of [
      ['7.2', false],
      ['10.0', true],
    ] as const) {
      const sim = createSim({ disks: 1, backingLayers: 1, profile });
      const to = await talk(sim);
      await to.execute('block-stream', { 'job-id': 's', device: 'disk0', 'auto-dismiss': false });
      await sim.advance(200);
      await to.execute('query-named-block-nodes');
      expect(sim.world.alive).toBe(survives);
    }
  });

  test('drive set to the node that it has, on every version that lets it be set', async () => {
    for (const profile of PROFILE_NAMES) {
      const sim = createSim({ disks: 1, profile, style: 'blockdev' });
      const to = await talk(sim);
      const [front] = sim.world.fronts();
      await to.execute('qom-set', { path: 'dev0', property: 'drive', value: front?.node ?? '' });
      expect(sim.world.alive).toBe(!['6.1', '7.2', '10.0', '11.1'].includes(profile));
    }
  });

  test('a snapshot that closes a ring, on 5.2 and not on 7.2', async () => {
    for (const [profile, survives] of [
      ['5.2', false],
      ['7.2', true],
    ] as const) {
      const sim = createSim({ disks: 1, profile });
      const to = await talk(sim);
      await addImage(sim, to, 't', { backing: null });
      await to.execute('blockdev-snapshot', { node: 't', overlay: 't' });
      expect(sim.world.alive).toBe(survives);
    }
  });
});

describe('versions', () => {
  for (const profile of PROFILE_NAMES) {
    test(`${profile} starts, greets with its version and answers what it has`, async () => {
      const sim = createSim({ disks: 2, profile });
      const client = await sim.run(openQmpClient(sim.connect, { clock: sim.clock }));
      expect(`${client.version.major}.${client.version.minor}`).toBe(profile);
      const commands = await sim.run(client.execute('query-commands'));
      const names = new Set(commands.map(command => command.name));
      expect(names.has('transaction')).toBe(profile !== '1.0');
      expect(names.has('blockdev-reopen')).toBe(['6.1', '7.2', '10.0', '11.1'].includes(profile));
      expect(await sim.run(client.execute('query-block'))).toHaveLength(2);
      client.close();
    });
  }

  test('an old QEMU takes snapshots of -drive disks one by one, without a transaction', async () => {
    const sim = createSim({ disks: 2, profile: '1.0' });
    const to = await talk(sim);
    expect(await to.execute('transaction', { actions: [] })).toMatchObject({
      error: { class: 'CommandNotFound' },
    });
    const snapshot = { device: 'drive0', 'snapshot-file': '/images/s0', format: 'qcow2' };
    expect(await to.execute('blockdev-snapshot-sync', snapshot)).toMatchObject({ return: {} });
    expect(sim.world.fronts().map(front => front.path)).toEqual(['/images/s0', '/images/disk1.qcow2']);
    expect(to.events('JOB_STATUS_CHANGE')).toEqual([]);
  });

  test('10.0 lets other jobs flap when the graph changes', async () => {
    const sim = createSim({ disks: 1, profile: '10.0' });
    const to = await talk(sim);
    await addImage(sim, to, 't');
    await mirrorReady(sim, to, 'disk0', 't', 'm');
    const before = to.wire.length;
    await to.execute('blockdev-add', { driver: 'file', 'node-name': 'x', filename: '/images/t.qcow2' });
    const statuses = to.wire
      .slice(before)
      .map(message => (message as { data?: { status?: string } }).data?.status);
    expect(statuses.filter(status => status !== undefined)).toEqual(['standby', 'ready']);
  });
});

test('a -drive node is gone after the pivot, one of blockdev-add stays', async () => {
  for (const style of ['drive', 'blockdev'] as const) {
    const sim = createSim({ disks: 1, style });
    const to = await talk(sim);
    await addImage(sim, to, 't');
    const device = style === 'drive' ? 'drive0' : 'disk0';
    const before = sim.world.fronts()[0]?.node ?? '';
    await mirrorReady(sim, to, device, 't', 'm');
    await to.execute('job-complete', { id: 'm' });
    await sim.advance(5);
    await to.execute('job-finalize', { id: 'm' });
    await to.execute('job-dismiss', { id: 'm' });
    expect(sim.world.fronts()[0]?.node).toBe('t');
    expect(sim.world.qemu?.nodes.has(before)).toBe(style === 'blockdev');
  }
});

test('qemu-io writes and verifies patterns through the chain', async () => {
  const sim = createSim({ disks: 1, timing: { guestWriteMs: 0 } });
  const to = await talk(sim);
  await addImage(sim, to, 't', { backing: null });
  const io = async (line: string): Promise<unknown> =>
    (await to.execute('human-monitor-command', { 'command-line': `qemu-io ${line}` }))['return'];
  expect(await io('t "write -P 0x11 0 64k"')).toBe('');
  expect(await io('t "read -P 0x11 0 64k"')).toBe('');
  expect(sim.world.printed).not.toContain('failed');
  expect(await io('t "read -P 0x12 0 64k"')).toBe('');
  expect(sim.world.printed).toContain('Pattern verification failed at offset 0, 65536 bytes\n');
  expect(await io('t "discard 0 64k"')).toBe('');
  expect(await io('t "read -P 0 0 128k"')).toBe('');
  expect(await io('disk0 "write -P 1 0 512"')).toContain("Permission conflict on node 'disk0'");
  expect(await io('nope "read 0 512"')).toContain('Cannot find device');
});
