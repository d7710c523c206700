import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openQmpClient } from '../../src/qmp/client.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import { JsonStream } from '../../src/sim/monitor/json-stream.ts';
import { serveSim } from '../../src/sim/serve.ts';
import { JSON_TEXTS } from '../../src/sim/state/texts.ts';

test('a simulator on a socket serves a client in real time, until it quits', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bs-serve-'));
  const listen = join(directory, 'qmp');
  const server = await serveSim({ listen, disks: 2, directory: '/virtual' });
  try {
    const client = await openQmpClient(connectSocket(listen));
    const blocks = await client.execute('query-block');
    expect(blocks.map(block => block.inserted?.file)).toEqual([
      '/virtual/disk0.qcow2',
      '/virtual/disk1.qcow2',
    ]);
    await client.execute('quit');
    await server.ended;
    await client.closed;
  } finally {
    await server.close();
  }
  expect(existsSync(listen)).toBe(false);
  rmSync(directory, { recursive: true });
});

test('a client that sends garbage is told so, and served on', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bs-serve-'));
  const listen = join(directory, 'qmp');
  const server = await serveSim({ listen, disks: 1 });
  const socket = createConnection(listen);
  try {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', chunk => {
      text += String(chunk);
    });
    await once(socket, 'connect');
    socket.write('{"execute":}{"execute":"qmp_capabilities","id":7}');
    while (!text.includes('"id":7')) await once(socket, 'data');
    expect(text).toContain('JSON parse error');
  } finally {
    socket.destroy();
    await server.close();
    rmSync(directory, { recursive: true });
  }
});

test('values are cut by brackets, however the text arrives', () => {
  const text = '{"a":"}{","b":[1,{"c":"\\""}]}\r\n{"d":1}{"e":2}';
  for (let size = 1; size <= text.length; size += 1) {
    const stream = new JsonStream(JSON_TEXTS);
    const values: unknown[] = [];
    for (let at = 0; at < text.length; at += size) {
      for (const piece of stream.push(Buffer.from(text.slice(at, at + size))))
        values.push(piece.ok ? piece.value : 'bad');
    }
    expect(values).toEqual([{ a: '}{', b: [1, { c: '"' }] }, { d: 1 }, { e: 2 }]);
  }
});

test('a path that no socket can have is refused', async () => {
  await expect(serveSim({ listen: `/tmp/${'x'.repeat(120)}` })).rejects.toMatchObject({
    code: 'REQUEST_INVALID',
  });
});
