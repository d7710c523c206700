import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import {
  type Connect,
  connectSocket,
  createJobs,
  type Jobs,
  openQmpClient,
  type QmpClient,
  readCapabilities,
  type Transport,
} from '../../src/qmp/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';

const QEMU = 'qemu-system-x86_64';
const hasQemu = spawnSync(QEMU, ['--version']).status === 0;

interface Guest {
  readonly socket: string;
  readonly folder: string;
  readonly pid: number;
  readonly ended: Promise<unknown>;
}

/** A QEMU without machine, with one monitor, gone at the end of the test. */
async function startQemu(): Promise<Guest> {
  const folder = temporaryFolder();
  const socket = join(folder, 'qmp.sock');
  const qemu = spawn(
    QEMU,
    ['-machine', 'none', '-nodefaults', '-display', 'none', '-qmp', `unix:${socket},server=on,wait=off`],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const ended = once(qemu, 'exit');
  onTestFinished(async () => {
    if (qemu.exitCode === null && qemu.signalCode === null) qemu.kill('SIGKILL');
    await ended;
  });
  for (let tries = 0; !(await isListening(socket)); tries += 1) {
    if (tries > 200 || qemu.exitCode !== null) throw new Error('QEMU did not open its monitor');
    await sleep(systemClock, 50);
  }
  if (qemu.pid === undefined) throw new Error('QEMU did not start');
  return { socket, folder, pid: qemu.pid, ended };
}

/** The socket's file is there a moment before anybody listens. */
async function isListening(path: string): Promise<boolean> {
  const connection = connect(path);
  try {
    await once(connection, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    connection.destroy();
  }
}

/** `count` mirrors m0, m1, ... between null-co nodes of 64 MiB, held at every step. */
async function startMirrors(
  client: QmpClient,
  count: number,
): Promise<{ ids: readonly string[]; jobs: Jobs }> {
  const numbers = Array.from({ length: count }, (_, index) => index);
  const size = 64 * 1024 * 1024;
  const added = await client.pipeline(
    numbers.flatMap(n =>
      [`source${n}`, `target${n}`].map(
        name =>
          ({ execute: 'blockdev-add', arguments: { driver: 'null-co', 'node-name': name, size } }) as const,
      ),
    ),
  );
  const started = await client.pipeline(
    numbers.map(
      n =>
        ({
          execute: 'blockdev-mirror',
          arguments: {
            'job-id': `m${n}`,
            device: `source${n}`,
            target: `target${n}`,
            sync: 'full',
            'auto-finalize': false,
            'auto-dismiss': false,
          },
        }) as const,
    ),
  );
  for (const reply of [...added, ...started]) if (!reply.ok) throw reply.error;
  return { ids: numbers.map(n => `m${n}`), jobs: createJobs(client) };
}

const within = { deadlineMs: 60_000 };

describe.skipIf(!hasQemu)('against a real QEMU', () => {
  test('tells version, status and what it can do', async () => {
    const { socket } = await startQemu();
    const client = await openQmpClient(connectSocket(socket));
    const [version, status] = await client.pipeline([
      { execute: 'query-version' },
      { execute: 'query-status' },
    ]);
    expect(version).toMatchObject({ ok: true, value: { qemu: { major: client.version.major } } });
    expect(status).toMatchObject({ ok: true, value: { running: expect.any(Boolean) } });
    const capabilities = await readCapabilities(client, ['transaction']);
    expect(capabilities.names).toEqual(
      expect.arrayContaining(['blockdev-mirror', 'manual-finalize', 'throttle-group']),
    );
    expect(capabilities.has('transaction')).toBe(false);
    client.close();
    await client.closed;
  });

  test('a refusal is QMP_COMMAND and the connection goes on', async () => {
    const { socket } = await startQemu();
    const client = await openQmpClient(connectSocket(socket));
    await expect(client.execute('blockdev-del', { 'node-name': 'none' })).rejects.toMatchObject({
      code: 'QMP_COMMAND',
      qmp: { command: 'blockdev-del', class: 'GenericError' },
    });
    expect(await client.execute('query-jobs')).toEqual([]);
    client.close();
  });

  test('mirrors that keep their targets conclude without error; the source stays where it was', async () => {
    const { socket } = await startQemu();
    const client = await openQmpClient(connectSocket(socket));
    const { ids, jobs } = await startMirrors(client, 3);
    await jobs.awaitAll(ids, job => job?.status === 'ready', within);
    expect((await jobs.keepTarget(ids)).every(reply => reply.ok)).toBe(true);
    await jobs.awaitAll(ids, job => job?.status === 'pending', within);
    expect((await jobs.finalize(ids)).every(reply => reply.ok)).toBe(true);
    const ended = await jobs.awaitAll(ids, job => job?.status === 'concluded', within);
    expect([...ended.values()].map(job => job.error)).toEqual([undefined, undefined, undefined]);
    expect((await jobs.dismiss(ids)).every(reply => reply.ok)).toBe(true);
    expect((await jobs.list(ids)).size).toBe(0);
    client.close();
  });

  test('a soft cancel before READY is an abort, and the verdict says so', async () => {
    const { socket } = await startQemu();
    const client = await openQmpClient(connectSocket(socket));
    const jobs = createJobs(client);
    for (const name of ['source', 'target'])
      await client.execute('blockdev-add', {
        driver: 'null-co',
        'node-name': name,
        size: 2 ** 34,
        'read-zeroes': true,
      });
    await client.execute('blockdev-mirror', {
      'job-id': 'slow',
      device: 'source',
      target: 'target',
      sync: 'full',
      speed: 65_536,
      'auto-dismiss': false,
    });
    await jobs.keepTarget(['slow']);
    const ended = await jobs.awaitAll(['slow'], job => job?.status === 'concluded', within);
    expect(ended.get('slow')?.error).toBeDefined();
    client.close();
  });

  test('pivot parks manual mirrors in pending; remove takes jobs of every status away, twice if asked', async () => {
    const { socket } = await startQemu();
    const client = await openQmpClient(connectSocket(socket));
    const { ids, jobs } = await startMirrors(client, 3);
    await jobs.awaitAll(ids, job => job?.status === 'ready', within);
    await jobs.pivot(['m0']);
    await jobs.awaitAll(['m0'], job => job?.status === 'pending', within);
    await jobs.abandon(['m1']);
    await jobs.awaitAll(['m1'], job => job?.status === 'concluded', within);
    await jobs.remove(ids, within);
    await jobs.remove(ids, within);
    expect(await client.execute('query-jobs')).toEqual([]);
    client.close();
  });

  test('a second client on the same monitor is told that it is taken', async () => {
    const { socket } = await startQemu();
    const first = await openQmpClient(connectSocket(socket));
    await expect(openQmpClient(connectSocket(socket), { greetingDeadlineMs: 500 })).rejects.toMatchObject({
      code: 'QMP_CONNECT',
      message: expect.stringContaining('one client at a time'),
    });
    expect(first.isOpen).toBe(true);
    first.close();
  });

  test('a QEMU that is killed ends every wait as QMP_DISCONNECTED', async () => {
    const { socket, pid } = await startQemu();
    const client = await openQmpClient(connectSocket(socket));
    const waiting = client.until('what never comes', async () => undefined, {
      wakeOn: [],
      deadlineMs: 60_000,
    });
    process.kill(pid, 'SIGKILL');
    await expect(waiting).rejects.toMatchObject({ code: 'QMP_DISCONNECTED' });
    await expect(client.execute('stop')).rejects.toMatchObject({ effect: 'notApplied' });
  });

  test('an error without id, which QEMU sends for what it cannot read, ends the connection', async () => {
    const { socket } = await startQemu();
    const tapped = Promise.withResolvers<Transport>();
    const connect: Connect = async handlers => {
      const transport = await connectSocket(socket)(handlers);
      tapped.resolve(transport);
      return transport;
    };
    const client = await openQmpClient(connect);
    (await tapped.promise).send(['no object']);
    await client.closed;
    await expect(client.execute('stop')).rejects.toMatchObject({
      code: 'QMP_DISCONNECTED',
      effect: 'notApplied',
    });
  });

  test('quit is answered before the connection ends', async () => {
    const { socket, ended } = await startQemu();
    const client = await openQmpClient(connectSocket(socket));
    const reasons: string[] = [];
    client.subscribe(event => {
      if (event.event === 'SHUTDOWN') reasons.push(event.data.reason);
    });
    expect(await client.execute('quit')).toEqual({});
    await client.closed;
    await ended;
    expect(reasons).toEqual(['host-qmp-quit']);
  });
});
