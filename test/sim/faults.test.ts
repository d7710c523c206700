import { describe, expect, test } from 'vitest';
import { createSim, type Fault, type Sim } from '../../src/sim/index.ts';
import { addImage, mirrorReady, type Talk, talk } from './talk.ts';

async function faulted(...faults: Fault[]): Promise<{ sim: Sim; to: Talk }> {
  const sim = createSim({ disks: 2, faults });
  return { sim, to: await talk(sim) };
}

describe('a fault strikes once, where it says', () => {
  test('the n-th command of a name is refused and has no effect', async () => {
    const { sim, to } = await faulted({ kind: 'refuse', command: 'stop', nth: 2, desc: 'not now' });
    await to.execute('stop');
    await to.execute('cont');
    expect(await to.execute('stop')).toMatchObject({ error: { class: 'GenericError', desc: 'not now' } });
    expect(sim.world.running).toBe(true);
    await to.execute('stop');
    expect(sim.world.running).toBe(false);
  });

  test('a refusal that lasts is of each command of the name from the n-th on, until faults end', async () => {
    const { sim, to } = await faulted({ kind: 'refuse', command: 'stop', nth: 2, lasting: true });
    expect(await to.execute('stop')).toHaveProperty('return');
    for (let nth = 2; nth < 5; nth += 1) expect(await to.execute('stop')).toHaveProperty('error');
    sim.endFaults();
    expect(await to.execute('stop')).toHaveProperty('return');
  });

  test('a command whose reply is lost has taken effect', async () => {
    const { sim, to } = await faulted({ kind: 'replyLost', command: 'stop' });
    const lost = to.execute('stop').catch((error: Error) => error.message);
    expect(await lost).toContain('nothing is left to happen');
    expect(sim.world.running).toBe(false);
  });

  test('a late reply comes late, and what follows does not overtake it', async () => {
    const { sim, to } = await faulted({ kind: 'replyLate', command: 'stop', delayMs: 500 });
    const replies = await to.pipeline([['stop'], ['query-status']]);
    expect(replies).toMatchObject([{ return: {} }, { return: { status: 'paused' } }]);
    expect(sim.clock.now()).toBeGreaterThan(500);
    const ids = to.wire.map(message => (message as { id?: number }).id).filter(id => id !== undefined);
    expect(ids).toEqual([...ids].sort((a, b) => Number(a) - Number(b)));
  });

  test('a listener hears at which command a third party has struck', async () => {
    const heard: unknown[] = [];
    const at = { when: 'after', nth: 3 } as const;
    const fault: Fault = { kind: 'otherClient', at, execute: 'cont' };
    const sim = createSim({ faults: [fault], onFault: (...told) => heard.push(told) });
    const to = await talk(sim);
    await to.pipeline([['stop'], ['query-status'], ['query-status']]);
    expect(heard).toEqual([[fault, { when: 'after', command: 'query-status' }]]);
  });

  test('a connection is cut before a command has an effect, or after', async () => {
    const before = await faulted({ kind: 'cut', command: 'stop', effect: 'before' });
    expect(await before.to.execute('stop')).toEqual({ closed: true });
    expect(before.sim.world.running).toBe(true);
    const after = await faulted({ kind: 'cut', command: 'stop', effect: 'after' });
    expect(await after.to.execute('stop')).toEqual({ closed: true });
    expect(after.sim.world.running).toBe(false);
    const again = await talk(after.sim);
    expect(await again.execute('query-status')).toMatchObject({ return: { status: 'paused' } });
  });

  test('events are lost, doubled, late or out of order', async () => {
    const names = async (fault: Fault): Promise<unknown[]> => {
      const { sim, to } = await faulted(fault);
      await to.pipeline([['stop'], ['cont'], ['stop']]);
      await sim.advance(20);
      return to.events().map(event => event['event']);
    };
    const of = { kind: 'event', event: 'STOP', nth: 1 } as const;
    expect(await names({ ...of, how: 'lost' })).toEqual(['RESUME', 'STOP']);
    expect(await names({ ...of, how: 'twice' })).toEqual(['STOP', 'STOP', 'RESUME', 'STOP']);
    expect(await names({ ...of, how: 'late', delayMs: 10 })).toEqual(['RESUME', 'STOP', 'STOP']);
    expect(await names({ ...of, how: 'swapped' })).toEqual(['RESUME', 'STOP', 'STOP']);
  });

  test('a job fails at its share of the work, its target keeps what was copied', async () => {
    const { sim, to } = await faulted({
      kind: 'jobFails',
      nth: 3,
      percent: 50,
      error: 'No space left on device',
    });
    await addImage(sim, to, 't');
    await mirrorReady(sim, to, 'disk0', 't', 'm');
    const { return: jobs } = await to.execute('query-jobs');
    expect(jobs).toMatchObject([{ id: 'm', status: 'concluded', error: 'No space left on device' }]);
    expect(to.events('BLOCK_JOB_ERROR')).toHaveLength(1);
    expect(sim.world.fronts()[0]?.node).toBe('disk0');
  });

  test('a pivot that is refused shows only in the job', async () => {
    const { sim, to } = await faulted({ kind: 'pivotRefused', nth: 3 });
    await addImage(sim, to, 't');
    await mirrorReady(sim, to, 'disk0', 't', 'm');
    await to.execute('job-complete', { id: 'm' });
    await sim.advance(5);
    expect(await to.execute('job-finalize', { id: 'm' })).toMatchObject({ return: {} });
    const { return: jobs } = await to.execute('query-jobs');
    expect(jobs).toMatchObject([{ status: 'concluded', error: 'Operation not permitted' }]);
    expect(sim.world.fronts()[0]?.node).toBe('disk0');
  });

  test('a job that is never READY goes on copying', async () => {
    const { sim, to } = await faulted({ kind: 'jobNeverReady', nth: 3 });
    await addImage(sim, to, 't');
    await mirrorReady(sim, to, 'disk0', 't', 'm');
    await sim.advance(5_000);
    expect(await to.execute('query-jobs')).toMatchObject({ return: [{ status: 'running' }] });
  });

  test('a full disk fails what makes images', async () => {
    const { sim, to } = await faulted({ kind: 'diskFull', freeBytes: 1_000 });
    const data = { 'node-name': 'disk0', 'snapshot-file': '/images/s', 'snapshot-node-name': 's' };
    const reply = await to.execute('blockdev-snapshot-sync', data);
    expect(reply).toMatchObject({ error: { desc: expect.stringContaining('No space left on device') } });
    expect(sim.world.fronts()[0]?.node).toBe('disk0');
  });

  test('a full disk fails a mirror while it copies, and the job says so', async () => {
    const { sim, to } = await faulted({ kind: 'diskFull', freeBytes: 1_048_576 });
    for (const offset of ['8M', '16M', '24M']) {
      const line = `qemu-io -d /machine/peripheral/dev0/virtio-backend "write -P 1 ${offset} 4M"`;
      await to.execute('human-monitor-command', { 'command-line': line });
    }
    await addImage(sim, to, 't');
    await mirrorReady(sim, to, 'disk0', 't', 'm');
    expect(await to.execute('query-jobs')).toMatchObject({
      return: [{ status: 'concluded', error: 'No space left on device' }],
    });
  });

  test('another client acts between two commands', async () => {
    const other: Fault = {
      kind: 'otherClient',
      at: { when: 'after', command: 'query-status' },
      execute: 'job-cancel',
      arguments: { id: 'm' },
    };
    const { sim, to } = await faulted(other);
    await addImage(sim, to, 't');
    await mirrorReady(sim, to, 'disk0', 't', 'm');
    await to.execute('query-status');
    await sim.advance(5);
    expect(await to.execute('query-jobs')).toMatchObject({
      return: [{ status: 'concluded', error: 'Operation canceled' }],
    });
  });

  test('QEMU dies before a command, and the connection with it', async () => {
    const { sim, to } = await faulted({
      kind: 'kill',
      what: 'qemu',
      at: { when: 'before', command: 'stop' },
    });
    expect(await to.execute('stop')).toEqual({ closed: true });
    expect(sim.world.alive).toBe(false);
  });

  test('the guest shuts down by itself', async () => {
    const { sim, to } = await faulted({ kind: 'guestShutdown', at: { when: 'at', ms: 10 } });
    await sim.advance(20);
    expect(to.events().map(event => event['event'])).toEqual(['SHUTDOWN', 'STOP']);
    expect(await to.execute('query-status')).toMatchObject({
      return: { status: 'shutdown', running: false },
    });
  });

  test('a guest that is stopped when it shuts down stays as it is, and runs when it is resumed', async () => {
    const { sim, to } = await faulted({ kind: 'guestShutdown', at: { when: 'at', ms: 10 } });
    await to.execute('stop');
    await sim.advance(20);
    expect(to.events().map(event => event['event'])).toEqual(['STOP', 'SHUTDOWN']);
    expect(await to.execute('query-status')).toMatchObject({ return: { status: 'paused' } });
    expect(await to.execute('cont')).toHaveProperty('return');
    expect(sim.world.running).toBe(true);
  });
});
