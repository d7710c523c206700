import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openQmpClient } from '../../src/qmp/client.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import { GREETING, type Sent } from './fake-qemu.ts';
import { listen, temporaryFolder } from './socket-folder.ts';

/** A QMP server on a real socket: greets, negotiates, and gives every other command to `answer`. */
function serve(answer: (command: Sent, socket: Socket) => void): (socket: Socket) => void {
  return socket => {
    socket.write(`${JSON.stringify(GREETING)}\r\n`);
    let text = '';
    socket.on('data', chunk => {
      text += chunk;
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const command: Sent = JSON.parse(line);
        if (command.execute === 'qmp_capabilities') socket.write(`{"return": {}, "id": ${command.id}}\r\n`);
        else answer(command, socket);
      }
    });
  };
}

/** Writes bytes one at a time, each in a packet of its own as far as the system allows. */
async function dribble(socket: Socket, text: string): Promise<void> {
  for (const byte of Buffer.from(text)) {
    socket.write(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
}

describe('over a real socket', () => {
  test('replies in pieces, with line separators inside and integers past 2^53, arrive whole', async () => {
    const path = await listen(
      serve(({ id }, socket) =>
        dribble(socket, `\r\n{"return": {"name": "a\u2028é", "big": 18446744073709551615}, "id": ${id}}\r\n`),
      ),
    );
    const client = await openQmpClient(connectSocket(path));
    expect(await client.execute('query-name')).toEqual({ name: 'a\u2028é', big: 18446744073709551615n });
    client.close();
    await client.closed;
  });

  test('integers past 2^53 are sent exactly', async () => {
    let line = '';
    const path = await listen(socket => {
      serve(({ id }) => socket.write(`{"return": {}, "id": ${id}}\n`))(socket);
      socket.on('data', chunk => {
        line += chunk;
      });
    });
    const client = await openQmpClient(connectSocket(`unix:${path}`));
    await client.execute('qom-set', { path: '/x', property: 'y', value: 2n ** 63n + 1n });
    expect(line).toContain('"value":9223372036854775809');
    client.close();
  });

  test('a connection that breaks during a command leaves its outcome unknown', async () => {
    const path = await listen(serve((_command, socket) => socket.destroy()));
    const client = await openQmpClient(connectSocket(path));
    await expect(client.execute('stop')).rejects.toMatchObject({
      code: 'QMP_DISCONNECTED',
      effect: 'unknown',
    });
    await client.closed;
  });

  test('what was sent just before closing still arrives', async () => {
    const arrived = Promise.withResolvers<number>();
    const path = await listen(serve(command => arrived.resolve(String(command.arguments?.['value']).length)));
    const client = await openQmpClient(connectSocket(path));
    // More than a socket's buffer takes at once, so that some of it is still ours when we close.
    const value = 'x'.repeat(4 * 1024 * 1024);
    const reply = client.pipeline([{ execute: 'qom-set', arguments: { path: '/x', property: 'y', value } }]);
    client.close();
    expect(await arrived.promise).toBe(value.length);
    expect((await reply)[0]).toMatchObject({
      ok: false,
      error: { code: 'QMP_DISCONNECTED', effect: 'unknown' },
    });
  });

  test('a message of 65 MiB ends the connection as QMP_PROTOCOL', async () => {
    const path = await listen(serve((_command, socket) => socket.write(Buffer.alloc(65 * 1024 * 1024, 'x'))));
    const client = await openQmpClient(connectSocket(path));
    await expect(client.execute('query-name')).rejects.toMatchObject({
      code: 'QMP_PROTOCOL',
      effect: 'unknown',
      message: expect.stringContaining('67108864 bytes'),
    });
  });

  test('a human monitor is told from a QMP monitor', async () => {
    const path = await listen(socket => socket.write("QEMU 7.2.22 monitor - type 'help'\r\n(qemu) "));
    await expect(openQmpClient(connectSocket(path))).rejects.toMatchObject({
      code: 'QMP_PROTOCOL',
      message: expect.stringContaining('-monitor is not -qmp'),
    });
  });

  test('a server that says nothing is one that serves another client', async () => {
    const path = await listen(() => undefined);
    await expect(openQmpClient(connectSocket(path), { greetingDeadlineMs: 30 })).rejects.toMatchObject({
      code: 'QMP_CONNECT',
      message: expect.stringContaining('one client at a time'),
    });
  });

  test('loopback TCP works', async () => {
    const server = createServer(
      serve(({ id }, socket) => socket.write(`{"return": {"name": "vm"}, "id": ${id}}\n`)),
    );
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.close();
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a port');
    const client = await openQmpClient(connectSocket(`tcp:127.0.0.1:${address.port}`));
    expect(await client.execute('query-name')).toEqual({ name: 'vm' });
    client.close();
    await client.closed;
  });
});

describe('addresses', () => {
  const handlers = { onMessage() {}, onClose() {} };

  test('a socket that is not there is an error that says what to check', async () => {
    const path = join(temporaryFolder(), 'none.sock');
    await expect(connectSocket(path)(handlers)).rejects.toMatchObject({
      code: 'QMP_CONNECT',
      retryable: true,
      message: expect.stringMatching(/none\.sock.*ENOENT.*-qmp unix:/),
    });
  });

  test('a file that is no socket is refused by name', async () => {
    const path = join(temporaryFolder(), 'file');
    writeFileSync(path, '');
    await expect(connectSocket(path)(handlers)).rejects.toMatchObject({ code: 'QMP_CONNECT' });
  });

  test.each([
    'tcp:192.168.0.1:4444',
    'example.org:4444',
    '[2001:db8::1]:4444',
    '127.evil.example:4444',
    '0.0.0.0:4444',
  ])('%s is another host and is refused', address => {
    expect(() => connectSocket(address)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringContaining('another host') }),
    );
  });

  test.each(['', 'vm', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:70000', 'unix:', `/${'x'.repeat(107)}`])(
    '"%s" is no address',
    address => {
      expect(() => connectSocket(address)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
    },
  );

  test.each([
    'localhost:4444',
    '[::1]:4444',
    'tcp:[::1]:4444',
    '127.0.0.1:4444',
    'unix:vm.sock',
    './vm.sock',
  ])('%s is an address', address => {
    expect(connectSocket(address)).toBeTypeOf('function');
  });
});
