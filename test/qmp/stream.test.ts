/** QMP over streams that a caller opens: of every kind, cut anywhere, ended in every way; the end is told once, and typed. */
import { spawn } from 'node:child_process';
import { createConnection } from 'node:net';
import { Duplex, duplexPair, PassThrough } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openQmpClient, type QmpClient } from '../../src/qmp/client.ts';
import { connectStream } from '../../src/qmp/stream.ts';
import { refused } from '../journal/contract.ts';
import { GREETING, type Sent } from './fake-qemu.ts';
import { listen } from './socket-folder.ts';

/** Speaks QMP on the far end of a stream. */
function speak(
  far: Duplex,
  answer: (command: Sent) => string = ({ id }) => `{"return": {}, "id": ${id}}\r\n`,
): void {
  far.write(`${JSON.stringify(GREETING)}\r\n`);
  let text = '';
  far.on('data', chunk => {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      const command: Sent = JSON.parse(line);
      far.write(
        command.execute === 'qmp_capabilities' ? `{"return": {}, "id": ${command.id}}\r\n` : answer(command),
      );
    }
  });
  far.on('error', () => undefined);
}

async function pair(
  answer?: (command: Sent) => string,
): Promise<{ near: Duplex; far: Duplex; client: QmpClient }> {
  const [near, far] = duplexPair();
  speak(far, answer);
  const client = await openQmpClient(connectStream(near));
  onTestFinished(() => client.close());
  return { near, far, client };
}

describe('over a stream of the caller', () => {
  test('replies arrive whole, however they are cut', async () => {
    const { client } = await pair(
      ({ id }) => `{"return": {"name": "a\u2028é${'x'.repeat(200_000)}"}, "id": ${id}}\n`,
    );
    expect((await client.execute('query-name')).name).toHaveLength(200_003);
  });

  test('a stream with an encoding, whose chunks are texts, is read as any', async () => {
    const [near, far] = duplexPair();
    near.setEncoding('utf8');
    speak(far, ({ id }) => `{"return": {"name": "é"}, "id": ${id}}\n`);
    const client = await openQmpClient(connectStream(near));
    expect(await client.execute('query-name')).toEqual({ name: 'é' });
    client.close();
    await client.closed;
  });

  test.each([
    ['an orderly end', (far: Duplex) => far.end()],
    ['an end without a word', (far: Duplex) => far.destroy()],
  ])('%s of the other side is told', async (_, end) => {
    const { client, far } = await pair();
    end(far);
    await client.closed;
    await expect(client.execute('query-status')).rejects.toEqual(refused('QMP_DISCONNECTED'));
  });

  test('a stream that fails, and never says that it has closed, ends what is under way', async () => {
    const [near, far] = duplexPair();
    const stubborn = Duplex.from({ readable: near, writable: near });
    stubborn.destroy = () => stubborn;
    speak(far, () => '');
    const client = await openQmpClient(connectStream(stubborn));
    const asked = client.execute('query-status');
    stubborn.emit('error', new Error('the line is cut'));
    await expect(asked).rejects.toEqual(refused('QMP_DISCONNECTED', /ended before query-status/));
    await client.closed;
    near.destroy();
  });

  test('a message past the limit is refused, and so is a stream of objects', async () => {
    const [near, far] = duplexPair();
    speak(far, () => `"${'x'.repeat(5_000)}`);
    const client = await openQmpClient(connectStream(near, { maxMessageBytes: 4_096 }));
    await expect(client.execute('query-status')).rejects.toEqual(
      refused('QMP_PROTOCOL', /more than 4096 bytes/),
    );
    const objects = new PassThrough({ objectMode: true });
    objects.write({ QMP: {} });
    await expect(openQmpClient(connectStream(objects))).rejects.toEqual(
      refused('QMP_PROTOCOL', /stream of objects/),
    );
  });

  test('each connection opens another stream; one that was given by itself serves once', async () => {
    let opened = 0;
    const path = await listen(socket => speak(socket));
    const connect = connectStream(() => {
      opened += 1;
      return createConnection(path);
    });
    for (let round = 0; round < 2; round += 1) {
      const client = await openQmpClient(connect);
      await client.execute('query-name');
      client.close();
      await client.closed;
    }
    expect(opened).toBe(2);
    const [near, far] = duplexPair();
    speak(far);
    const once = connectStream(near);
    const client = await openQmpClient(once);
    client.close();
    await client.closed;
    await expect(openQmpClient(once)).rejects.toEqual(
      refused('QMP_CONNECT', /a function that opens another/),
    );
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('no such host');
      },
      /no such host/,
    ],
    ['rejects', () => Promise.reject(new Error('denied')), /denied/],
    ['gives one that was closed', () => new PassThrough().destroy(), /ended before it was up/],
    [
      'gives one that never comes up',
      () => Object.assign(new PassThrough(), { connecting: true }),
      /not up within/,
    ],
    ['never ends', () => new Promise<Duplex>(() => undefined), /not up within/],
    ['is refused', () => createConnection('/tmp/blocksaga-none.sock'), /ENOENT/],
  ] as const)('an opening that %s is QMP_CONNECT', async (_, open, why) => {
    const connect = connectStream(open as () => Duplex, { connectDeadlineMs: 50 });
    await expect(openQmpClient(connect)).rejects.toEqual(refused('QMP_CONNECT', why));
  });

  const OPENERS: Readonly<Record<string, () => unknown>> = {
    'throws undefined': () => {
      throw undefined;
    },
    'rejects with null': () => Promise.reject(null),
    'rejects with a text': () => Promise.reject('away'),
    'gives nothing': () => undefined,
    'gives a number': () => 7,
    'gives what is no stream': async () => ({}),
  };

  test.each(Object.entries(OPENERS))('what %s instead of opening one is told at once', async (_, open) => {
    const connect = connectStream(open as () => Duplex);
    const error = await openQmpClient(connect).catch((why: unknown) => why);
    expect(error).toEqual(refused('QMP_CONNECT', /could not be opened/));
  });

  test.each([
    { connectDeadlineMs: Number.NaN },
    { connectDeadlineMs: -1 },
    { maxMessageBytes: Number.NaN },
    { maxMessageBytes: 0 },
  ])('a limit that is none is refused: %j', options => {
    expect(() => connectStream(() => new PassThrough(), options)).toThrow(refused('REQUEST_INVALID'));
  });

  test('the standard streams of a program are one, as of an ssh or a docker exec', async () => {
    const path = await listen(socket =>
      speak(socket, ({ id }) => `{"return": {"name": "far"}, "id": ${id}}\n`),
    );
    const relay = `const s = require('node:net').connect(process.argv[1]); process.stdin.pipe(s).pipe(process.stdout)`;
    const connect = connectStream(() => {
      const child = spawn(process.execPath, ['-e', relay, path], { stdio: ['pipe', 'pipe', 'inherit'] });
      return Duplex.from({ readable: child.stdout, writable: child.stdin });
    });
    const client = await openQmpClient(connect);
    expect(await client.execute('query-name')).toEqual({ name: 'far' });
    client.close();
    await client.closed;
  });
});
