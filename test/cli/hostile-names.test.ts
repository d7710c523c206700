/**
 * Names, QEMU's words and a journal full of terminal escapes, through every command: what people read has none of it, and
 * NDJSON is the very same value. QEMU is a simulator behind a proxy that gives its disks hostile names.
 */
import { createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LiveReporter } from '../../src/cli/print/live-reporter.ts';
import { printable } from '../../src/cli/print/printable.ts';
import { runProgram } from '../../src/cli/program.ts';
import { openJournal } from '../../src/index.ts';
import { serveSim } from '../../src/sim/serve.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { fakeContext } from './fake-context.ts';
import { entered } from './notices.ts';

/** An escape sequence in both forms, the end of a line, a bell, DEL, the turn of direction, and what is not seen. */
const EVIL = 'disk\u001b[2J\u009b31m\n\rforged: committed\u0007\u007f\u202e\u2028\u200b0';
/** As JSON.stringify writes it, without its quotation marks. */
const EVIL_JSON = JSON.stringify(EVIL).slice(1, -1);
const HARMFUL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** A monitor whose guest has a disk with that name, on a file and a node with that name. */
async function evilMonitor(): Promise<string> {
  const listen = join(temporaryFolder(), 'sim.sock');
  const sim = await serveSim({ listen, disks: 1, profile: '7.2' });
  const server = createServer(client => {
    const qemu = createConnection(listen);
    pipeLines(qemu, client, line => line.replaceAll('disk0', EVIL_JSON));
    pipeLines(client, qemu, line => line.replaceAll(EVIL_JSON, 'disk0'));
    for (const socket of [client, qemu]) socket.on('error', () => socket.destroy());
    client.on('close', () => qemu.destroy());
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.close();
    await sim.close();
  });
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

function pipeLines(from: Socket, to: Socket, changed: (line: string) => string): void {
  let text = '';
  from.on('data', chunk => {
    text += String(chunk);
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) to.write(`${changed(line)}\n`);
  });
}

async function run(state: string, ...args: readonly string[]) {
  const context = fakeContext({ env: { XDG_STATE_HOME: state } });
  const status = await runProgram(args, context);
  const lines = [...context.out, ...context.err];
  expect(lines.filter(line => HARMFUL.test(line))).toEqual([]);
  return { status, out: context.out, text: lines.join('\n') };
}

describe('hostile names', () => {
  test('through the commands that ask QEMU and change disks', async () => {
    const qmp = await evilMonitor();
    const state = temporaryFolder();
    const chain = await run(state, 'chain', '--qmp', qmp);
    expect(chain).toMatchObject({ status: 0, text: expect.stringContaining(printable(EVIL)) });
    const [json] = (await run(state, 'chain', '--qmp', qmp, '--json')).out;
    expect(JSON.stringify(JSON.parse(json ?? ''))).toContain(EVIL_JSON);

    const copy = ['copy', '--qmp', qmp, '--disk', `${EVIL},to=/images/new${EVIL}`, '--vm', EVIL];
    expect(await run(state, ...copy, '--plan')).toMatchObject({
      text: expect.stringContaining(printable(EVIL)),
    });
    await run(state, ...copy, '--plan', '--json');
    await run(state, 'jobs', '--qmp', qmp);
    const done = await run(state, ...copy, '--json');
    expect(done).toMatchObject({ status: 0 });
    const result = JSON.parse(done.out.at(-1) ?? '') as {
      saga: string;
      disks: { disk: string; image: string }[];
    };
    expect(result.disks[0]).toMatchObject({ disk: EVIL, image: `/images/new${EVIL}` });
    expect(await run(state, 'show', result.saga)).toMatchObject({
      status: 0,
      text: expect.stringContaining('forged'),
    });
    await run(state, 'show', result.saga, '--json');
    expect(await run(state, 'sagas')).toMatchObject({
      status: 0,
      text: expect.stringContaining(printable(EVIL)),
    });
    expect(await run(state, 'snapshot', '--qmp', qmp, '--disk', `no${EVIL},overlay=/x`)).toMatchObject({
      status: 2,
    });
    await run(state, 'snapshot', '--qmp', qmp, '--disk', `no${EVIL},overlay=/x`, '--json');
    await run(state, 'doctor', '--qmp', qmp);
  });

  test('in arguments, refusals and help', async () => {
    const state = temporaryFolder();
    for (const args of [
      [EVIL],
      ['copy', EVIL],
      ['copy', `--${EVIL}`],
      ['copy', '--qmp', `/${EVIL}`, '--disk', `${EVIL},to=/${EVIL}`],
      ['show', EVIL],
      ['resume', EVIL],
      ['abort', EVIL, '--json'],
      ['pivot', EVIL],
      ['set-speed', EVIL, '1'],
      ['chain', '--qmp', EVIL],
      ['sagas', '--journal', `/${EVIL}`],
      ['sagas', '--state', EVIL],
      ['doctor', '--qmp', `/${EVIL}`],
      ['commit', '--offline', '--disk', `/${EVIL}`],
      ['machines', EVIL],
      ['fuzz', '--replay', EVIL],
      ['fuzz', '--runs', EVIL],
      ['sim', '--listen', `/${EVIL}/${'x'.repeat(120)}`, '--disks', '1'],
    ])
      await run(state, ...args);
    for (const args of [
      ['--help'],
      ['copy', '--help'],
      ['machines', 'copy-reopen'],
      ['machines', '--format', 'json'],
    ])
      expect(await run(state, ...args)).toMatchObject({ status: 0 });
  });

  test('in the journal', async () => {
    const state = temporaryFolder();
    const journal = openJournal(join(state, 'blocksaga', 'journal.db'));
    const lease = journal.begin({
      id: EVIL,
      vm: EVIL,
      operation: EVIL,
      planVersion: 1,
      address: EVIL,
      request: EVIL,
      plan: { disks: [{ disk: EVIL, file: EVIL, image: { file: EVIL } }] },
    });
    const error = { code: 'FILES', message: EVIL, retryable: false, effect: 'unknown', disk: EVIL } as const;
    await journal.append(
      lease,
      [
        { kind: 'intent', step: EVIL, body: { observed: EVIL } },
        { kind: 'outcome', step: EVIL, body: { error } },
        { kind: 'signal', step: EVIL, body: null },
      ],
      { durable: true },
    );
    await journal.end(lease, 'needsRecovery', {
      saga: EVIL,
      operation: EVIL,
      outcome: 'needsRecovery',
      strategy: EVIL,
      disks: [{ disk: EVIL, before: { node: EVIL, file: EVIL }, after: null, image: EVIL }],
      blackoutMs: 1,
      error: { ...error, cause: { command: EVIL, class: EVIL, desc: `why ${EVIL}` } },
      leftovers: [EVIL],
      weaker: [EVIL],
      boot: [{ disk: EVIL, file: EVIL, format: EVIL }],
      why: EVIL,
    });
    await journal.close();
    for (const args of [
      ['sagas'],
      ['show', EVIL],
      ['doctor'],
      ['resume', EVIL],
      ['resume', '--offline', EVIL],
    ]) {
      expect(await run(state, ...args)).toMatchObject({ text: expect.stringContaining('forged') });
      const { out } = await run(state, ...args, '--json');
      for (const line of out) expect(JSON.stringify(JSON.parse(line))).toContain(EVIL_JSON);
    }
    await run(state, 'resume', '--all');
  });

  test('in a bug', async () => {
    const context = fakeContext({
      clock: {
        now: () => 0,
        after: () => () => undefined,
        epochMs() {
          throw new TypeError(EVIL);
        },
      },
    });
    expect(await runProgram(['sagas', '--prune'], context)).toBe(70);
    expect(context.err.filter(line => HARMFUL.test(line))).toEqual([]);
  });

  test('in the live view', async () => {
    const written: string[] = [];
    const write = process.stdout.write.bind(process.stdout);
    process.stdout.write = (text: string | Uint8Array) => {
      written.push(String(text));
      return true;
    };
    try {
      const reporter = new LiveReporter(fakeContext());
      const plan = { operation: 'copy', disks: [{ disk: EVIL, file: EVIL }] };
      reporter.begun({ saga: { id: EVIL, plan } as never, vm: EVIL });
      reporter.say(EVIL);
      reporter.notice({
        type: 'progress',
        saga: 's',
        disk: EVIL,
        job: 'j',
        status: EVIL,
        currentBytes: 1,
        totalBytes: 2,
      } as never);
      reporter.notice(entered('s', EVIL));
      const disks = [{ disk: EVIL, before: { node: EVIL, file: EVIL }, after: null, image: EVIL }];
      await reporter.ended({
        saga: { id: EVIL, plan } as never,
        result: {
          saga: EVIL,
          operation: 'copy',
          outcome: 'rolledBack',
          strategy: null,
          disks,
          blackoutMs: null,
          error: null,
          leftovers: [EVIL],
        },
      });
    } finally {
      process.stdout.write = write;
    }
    const drawn = written.join('');
    expect(drawn).toContain(printable(EVIL).slice(0, 20));
    for (const part of ['\u001b[2J', '\u009b', '\u0007', '\u202e', '\nforged'])
      expect(drawn).not.toContain(part);
  });
});

test('what is harmless stays as it is', () => {
  expect(printable('/images/Ünïcode 漢字 😀.qcow2 "x" \\n')).toBe('/images/Ünïcode 漢字 😀.qcow2 "x" \\n');
});
