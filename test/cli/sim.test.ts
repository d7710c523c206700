import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { simOptions } from '../../src/cli/commands/sim.ts';
import { runProgram } from '../../src/cli/program.ts';
import { openQmpClient, type QmpClient } from '../../src/qmp/client.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { fakeContext } from './fake-context.ts';

/** Runs the command until it listens. */
async function start(...args: readonly string[]) {
  const context = fakeContext();
  const listen = join(temporaryFolder(), 'sim.qmp');
  const status = runProgram(['sim', '--listen', listen, ...args], context);
  await expect.poll(() => context.out.join()).toContain(`listens at ${listen}`);
  return { context, listen, status };
}

async function ask<T>(listen: string, use: (client: QmpClient) => Promise<T>): Promise<T> {
  const client = await openQmpClient(connectSocket(listen));
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

describe('blocksaga sim', () => {
  test('serves what its options say, until it is interrupted; then the socket is gone', async () => {
    const { context, listen, status } = await start(
      ...['--name', 'web', '--disks', '2', '--profile', '10.0', '--dir', '/pool'],
    );
    const seen = await ask(listen, async client => ({
      version: client.version.major,
      name: (await client.execute('query-name')).name,
      files: (await client.execute('query-block')).map(block => block.inserted?.file),
    }));
    expect(seen).toEqual({ version: 10, name: 'web', files: ['/pool/disk0.qcow2', '/pool/disk1.qcow2'] });
    context.interrupt();
    expect(await status).toBe(0);
    expect(existsSync(listen)).toBe(false);
  });

  test('ends when it is told to quit', async () => {
    const { context, listen, status } = await start('--disks', '1');
    await ask(listen, client => client.execute('quit'));
    expect(await status).toBe(0);
    expect(context.out.at(-1)).toBe('the simulated QEMU has ended');
    expect(existsSync(listen)).toBe(false);
  });

  test('lets a fault strike and says so', async () => {
    const { context, listen, status } = await start(
      '--fault',
      '{"kind":"refuse","command":"stop","desc":"no"}',
    );
    await ask(listen, async client => {
      await expect(client.execute('stop')).rejects.toMatchObject({ qmp: { desc: 'no' } });
      await client.execute('stop');
    });
    context.interrupt();
    expect(await status).toBe(0);
    const told = context.out.at(-1) ?? '';
    expect(told).toMatch(/^fault: /);
    expect(JSON.parse(told.slice('fault: '.length))).toEqual({ kind: 'refuse', command: 'stop', desc: 'no' });
  });

  test.each([
    ['no disks', ['--disks', '0'], /1 to 64 disks, not 0/],
    ['a name that is none', ['--name', ''], /name: a text of 1/],
    ['an unknown version', ['--profile', '9.9'], /--profile "9.9".*7\.2/],
    ['a fault that is no JSON', ['--fault', '{kind}'], /--fault {kind}: this must be JSON/],
    ['a fault of no kind', ['--fault', '{"kind":"fire"}'], /--fault .*kind/],
    [
      'a fault with a member too many',
      ['--fault', '{"kind":"diskFull","freeBytes":1,"x":1}'],
      /--fault .*"x"/,
    ],
  ])('refuses %s', async (_what, args, words) => {
    const context = fakeContext();
    const listen = join(temporaryFolder(), 'sim.qmp');
    expect(await runProgram(['sim', '--listen', listen, ...args], context)).toBe(2);
    expect(context.err.join('\n')).toMatch(words);
    expect(existsSync(listen)).toBe(false);
  });

  test('leaves alone what is already at its place', async () => {
    const listen = join(temporaryFolder(), 'sim.qmp');
    writeFileSync(listen, 'mine');
    const context = fakeContext();
    expect(await runProgram(['sim', '--listen', listen], context)).toBe(2);
    expect(context.err.join()).toContain('something is there already');
    expect(existsSync(listen)).toBe(true);
  });

  test('takes every kind of fault that the simulator has', () => {
    const faults: { readonly [K in Fault['kind']]: Extract<Fault, { kind: K }> } = {
      refuse: { kind: 'refuse', class: 'DeviceNotFound', command: 'stop', nth: 2 },
      replyLost: { kind: 'replyLost' },
      replyLate: { kind: 'replyLate', delayMs: 5 },
      cut: { kind: 'cut', effect: 'after', command: 'transaction' },
      event: { kind: 'event', event: 'STOP', how: 'late', delayMs: 1 },
      jobFails: { kind: 'jobFails', nth: 1, percent: 50 },
      jobNeverReady: { kind: 'jobNeverReady', nth: 1 },
      pivotRefused: { kind: 'pivotRefused', nth: 1 },
      diskFull: { kind: 'diskFull', freeBytes: 0 },
      otherClient: { kind: 'otherClient', at: { when: 'at', ms: 5 }, execute: 'stop', arguments: {} },
      file: { kind: 'file', at: { when: 'at', ms: 5 }, path: '/images/disk0.qcow2', how: 'replace' },
      guestShutdown: { kind: 'guestShutdown', at: { when: 'before', command: 'cont' } },
      guestSuspend: { kind: 'guestSuspend', at: { when: 'before', command: 'stop' } },
      kill: { kind: 'kill', at: { when: 'after', nth: 3 }, what: 'host' },
    };
    const given = Object.values(faults);
    const options = simOptions({ listen: 'a', fault: given.map(one => JSON.stringify(one)) }, fakeContext());
    expect(options.faults).toEqual(given);
    expect(options.listen).toBe('/desk/a');
  });
});
