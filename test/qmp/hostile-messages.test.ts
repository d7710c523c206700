/** What no QEMU should send: each ends the connection with a typed error, and nothing comes out of a handler. */
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openQmpClient } from '../../src/qmp/client.ts';
import { openGuestAgent } from '../../src/qmp/guest-agent.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import { FakeQemu, GREETING } from './fake-qemu.ts';
import { listen } from './socket-folder.ts';

const uncaught: unknown[] = [];
const hear = (error: unknown) => void uncaught.push(error);

beforeEach(() => void process.on('uncaughtException', hear));
afterEach(() => {
  process.off('uncaughtException', hear);
  expect(uncaught.splice(0)).toEqual([]);
});

/** Answers the second command, which is the first after the negotiation, with these bytes. */
function answering(bytes: (id: number) => string | Uint8Array): (socket: Socket) => void {
  return socket => {
    socket.write(`${JSON.stringify(GREETING)}\n`);
    let commands = 0;
    socket.on('data', chunk => {
      for (const line of String(chunk).trim().split('\n')) {
        const { id } = JSON.parse(line) as { id: number };
        commands += 1;
        socket.write(commands === 1 ? `{"return": {}, "id": ${id}}\n` : bytes(id));
      }
    });
  };
}

const nested = (depth: number, id: number, big = '') =>
  `{"return": ${'['.repeat(depth)}${big}${']'.repeat(depth)}, "id": ${id}}\n`;

const HOSTILE: readonly (readonly [string, (id: number) => string | Uint8Array])[] = [
  ['JSON nested 100,000 deep', id => nested(100_000, id)],
  ['the same with a number that needs a reviver', id => nested(100_000, id, '18446744073709551615')],
  ['objects nested deep', id => `{"return": ${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}, "id": ${id}}\n`],
  ['openers without an end', () => `${'['.repeat(200_000)}\n`],
  [
    'no UTF-8',
    id => Buffer.from(`{"return": {"running": true, "status": "\xff\xfe"}, "id": ${id}}\n`, 'latin1'),
  ],
  ['no JSON', () => 'running\n'],
  ['a reply to no command', () => '{"return": {}, "id": 4711}\n'],
  ['a reply of another shape', id => `{"return": {"running": "yes", "status": "running"}, "id": ${id}}\n`],
  ['a reply without a member', id => `{"return": {"running": true}, "id": ${id}}\n`],
  ['a list in its place', id => `{"return": [], "id": ${id}}\n`],
  ['an event with wrong data', () => '{"event": "JOB_STATUS_CHANGE", "data": {"id": 7}}\n'],
  ['an event with no data', () => '{"event": "JOB_STATUS_CHANGE", "data": []}\n'],
  ['an error that is none', id => `{"error": "no", "id": ${id}}\n`],
  ['__proto__', id => `{"return": {"__proto__": {"running": true, "status": "x"}}, "id": ${id}}\n`],
];

describe('a QEMU that is hostile', () => {
  test.each(HOSTILE)('%s: QMP_PROTOCOL, and another connection can be made', async (_title, bytes) => {
    const path = await listen(answering(bytes));
    const client = await openQmpClient(connectSocket(path));
    await expect(client.execute('query-status')).rejects.toMatchObject({
      name: 'BlocksagaError',
      code: 'QMP_PROTOCOL',
      effect: 'unknown',
    });
    await client.closed;
    expect(client.isOpen).toBe(false);
    (await openQmpClient(connectSocket(path))).close();
  });

  test('a reply that comes twice ends it, one that comes late does not', async () => {
    const path = await listen(
      answering(id => `{"return": {"running": true, "status": "running"}, "id": ${id}}\n`.repeat(2)),
    );
    const client = await openQmpClient(connectSocket(path));
    expect(await client.execute('query-status')).toMatchObject({ running: true });
    await client.closed;

    const fake = new FakeQemu();
    const late = await openQmpClient(fake.connect);
    await expect(late.execute('query-status', {}, { deadlineMs: 1 })).rejects.toMatchObject({
      code: 'QMP_TIMEOUT',
    });
    fake.say({ return: { running: true, status: 'running' }, id: 2 });
    await new Promise(setImmediate);
    expect(late.isOpen).toBe(true);
    fake.say({ return: { running: true, status: 'running' }, id: 2 });
    await late.closed;
  });

  test('a transport of another make may carry anything', async () => {
    let value: unknown = 1;
    for (let depth = 0; depth < 50_000; depth += 1) value = [value];
    const fake = new FakeQemu(() => value as never);
    const client = await openQmpClient(fake.connect);
    await expect(client.execute('query-jobs')).rejects.toMatchObject({ code: 'QMP_PROTOCOL' });
  });

  test('what newer QEMUs add, and older ones lack, is nothing to end it for', async () => {
    const fake = new FakeQemu(() => [
      { device: 'a', newer: { x: [1] }, inserted: { file: '/a', ro: false, drv: 'raw' } },
    ]);
    const client = await openQmpClient(fake.connect);
    expect(await client.execute('query-block')).toHaveLength(1);
    fake.event('AN_EVENT_OF_TOMORROW', { a: 1 });
    await new Promise(setImmediate);
    expect(client.isOpen).toBe(true);
    client.close();
  });
});

describe('a guest agent that is hostile', () => {
  const sync = (line: string) =>
    `\xff{"return": ${(JSON.parse(line.slice(line.indexOf('{'))) as { arguments: { id: number } }).arguments.id}}\n`;

  test.each([
    ['{"return": "many"}\n', 'QMP_PROTOCOL'],
    ['{"return": -1}\n', 'QMP_PROTOCOL'],
    ['{"return": 18446744073709551616}\n', 'QMP_PROTOCOL'],
    ['{"error": 7}\n', 'QMP_PROTOCOL'],
    ['[]\n', 'QMP_PROTOCOL'],
    [`${'['.repeat(100_000)}\n`, 'QMP_PROTOCOL'],
    [`{"return": ${'['.repeat(100_000)}1234567890123456789${']'.repeat(100_000)}}\n`, 'QMP_PROTOCOL'],
  ])('%.20s', async (answer, code) => {
    const path = await listen(socket => {
      let commands = 0;
      socket.on('data', chunk => {
        commands += 1;
        socket.write(Buffer.from(commands === 1 ? sync(String(chunk)) : answer, 'latin1'));
      });
    });
    const agent = await openGuestAgent(path);
    await expect(agent.freeze(5_000)).rejects.toMatchObject({ name: 'BlocksagaError', code });
    agent.close();
  });
});
