/**
 * A snapshot with a disk that a third party is to take by hand: the guest is paused by the call itself, and stays so where it has
 * succeeded. Where it fails the guest is resumed, from that pause and from no other state.
 */
import { describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine/engine.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { openDomain } from '../../src/libvirt/index.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { smallSim } from '../engine/lives.ts';

const OVERLAY = '/images/over.qcow2';

/** Asks for it; `before` acts in front of a command of that name. Tells what was sent, and the category of a failure. */
async function snapshot(sim: Sim, before: Readonly<Record<string, () => void>> = {}) {
  const sent: string[] = [];
  const qmp: Connect = async handlers => {
    const transport = await sim.connect(handlers);
    return {
      send(messages) {
        for (const message of messages) {
          const { execute } = message as { readonly execute: string };
          before[execute]?.();
          sent.push(execute);
        }
        transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
  const { clock, files } = sim;
  const domain = openDomain({ engine: createEngine({ journal: memoryJournal(), clock }), qmp, files, clock });
  const disks = [
    { name: 'dev0', source: { file: OVERLAY } },
    { name: 'dev1', snapshot: 'manual' as const },
  ];
  const failure = await sim.run(
    domain.snapshotCreate({ name: 's1', disks }, ['DISK_ONLY']).then(
      () => undefined,
      (error: Error) => error,
    ),
  );
  return { sent, failure };
}

/** The overlay is there, so that the snapshot is refused when the guest is paused already. */
async function refused(sim: Sim, before?: Readonly<Record<string, () => void>>) {
  await sim.files.createExclusive(OVERLAY, '/images/disk0.qcow2', 'claim');
  const { sent, failure } = await snapshot(sim, before);
  expect(failure).toBeInstanceOf(Error);
  return sent;
}

describe('the guest of a snapshot with a disk by hand', () => {
  test('stays paused where it has succeeded', async () => {
    const sim = smallSim();
    expect((await snapshot(sim)).failure).toBeUndefined();
    expect(sim.world.qemu?.runState).toBe('paused');
  });

  test('runs again where it has failed', async () => {
    const sim = smallSim();
    await refused(sim);
    expect(sim.world.qemu?.runState).toBe('running');
  });

  test('stays paused by its administrator where it has failed', async () => {
    const sim = smallSim({ paused: true });
    expect(await refused(sim)).not.toContain('cont');
    expect(sim.world.qemu?.runState).toBe('prelaunch');
  });

  test.each(['7.2', '10.0', '11.1'] as const)('is in S3 still on %s, and wakes up', async profile => {
    const sim = smallSim({ profile, runState: 'suspended' });
    await refused(sim);
    expect(sim.world.qemu?.runState).toBe('suspended');
    expect(sim.world.inject('system_wakeup')).toEqual({ return: {} });
  });

  test.each(['10.0', '11.1'] as const)('cannot wake up from S3 before the snapshot on %s', async profile => {
    const sim = smallSim({ profile, runState: 'suspended' });
    expect((await snapshot(sim)).failure).toBeUndefined();
    expect(sim.world.qemu?.runState).toBe('paused');
  });

  test('is not resumed once it has shut down meanwhile', async () => {
    const sim = smallSim({
      faults: [{ kind: 'guestShutdown', at: { when: 'before', command: 'stop', nth: 1 } }],
    });
    const sent = await refused(sim);
    expect(sent).toContain('stop');
    expect(sent).not.toContain('cont');
    expect(sim.world.qemu?.runState).toBe('shutdown');
  });

  test('is not paused while it is migrated', async () => {
    const sim = smallSim();
    expect(sim.world.inject('migrate', { uri: 'exec:cat' })).toMatchObject({ return: {} });
    const { failure } = await snapshot(sim);
    expect(failure).toBeInstanceOf(Error);
    expect(sim.world.qemu?.runState).not.toBe('paused');
  });
});
