import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { openGuestAgent } from '../../src/qmp/guest-agent.ts';
import { listen } from './socket-folder.ts';

/**
 * A guest agent as qemu-ga behaves: a byte 0xFF ends what was half sent and earns an error reply, guest-sync-delimited is
 * answered with 0xFF before it, commands run one after the other. Faults it may inject: a freeze that takes `freezeMs`
 * (or for ever), a refusal, rubbish left over from an earlier client, an end of the connection.
 */
interface Faults {
  readonly freezeMs?: number;
  /** The reply to a freeze that takes time is cut short, as by an agent that restarts. */
  readonly garble?: boolean;
  /** The byte earns no error reply. */
  readonly quiet?: boolean;
  readonly refuse?: string;
  readonly leftOver?: string;
  readonly hangUpOn?: string;
}

interface FakeAgent {
  frozen: boolean;
  readonly commands: string[];
}

function agentOn(faults: Faults, agent: FakeAgent): (socket: Socket) => void {
  return socket => {
    if (faults.leftOver) socket.write(faults.leftOver, 'latin1');
    const queue: string[] = [];
    let busy = false;
    let text = '';
    const next = () => {
      const line = busy ? undefined : queue.shift();
      if (line === undefined) return;
      const { execute, arguments: args } = JSON.parse(line);
      agent.commands.push(execute);
      if (execute === faults.hangUpOn) return void socket.destroy();
      if (execute === faults.refuse)
        return reply('', { error: { class: 'GenericError', desc: 'not today' } });
      if (execute === 'guest-sync-delimited') return later(5, () => reply('\xff', { return: args.id }));
      if (execute === 'guest-fsfreeze-status')
        return reply('', { return: agent.frozen ? 'frozen' : 'thawed' });
      if (execute === 'guest-fsfreeze-thaw') {
        const count = agent.frozen ? 2 : 0;
        agent.frozen = false;
        return reply('', { return: count });
      }
      agent.frozen = true;
      if (faults.freezeMs === undefined) return reply('', { return: 3 });
      if (faults.freezeMs === Number.POSITIVE_INFINITY) busy = true;
      else
        later(faults.freezeMs, () =>
          faults.garble ? socket.write('{"retu\n', next) : reply('', { return: 3 }),
        );
    };
    const later = (ms: number, act: () => void) => {
      busy = true;
      setTimeout(() => {
        busy = false;
        act();
      }, ms);
    };
    const reply = (prefix: string, message: unknown) => {
      socket.write(Buffer.from(`${prefix}${JSON.stringify(message)}\n`, 'latin1'));
      next();
    };
    socket.on('data', chunk => {
      text += chunk.toString('latin1');
      const reset = text.lastIndexOf('\xff');
      if (reset !== -1) {
        text = text.slice(reset + 1);
        if (!faults.quiet)
          socket.write('{"error": {"class": "GenericError", "desc": "JSON parse error, stray"}}\n');
      }
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      queue.push(...lines);
      next();
    });
  };
}

async function start(faults: Faults = {}): Promise<{ path: string; agent: FakeAgent }> {
  const agent: FakeAgent = { frozen: false, commands: [] };
  return { agent, path: await listen(agentOn(faults, agent)) };
}

test('freezes, tells the status and thaws, in step after one synchronization', async () => {
  const { path, agent } = await start();
  const client = await openGuestAgent(path);
  expect(await client.freeze(1_000)).toBe(3);
  expect(await client.status()).toBe('frozen');
  expect(await client.thaw(1_000)).toBe(2);
  expect(await client.status()).toBe('thawed');
  expect(agent.commands.filter(name => name === 'guest-sync-delimited')).toHaveLength(1);
  client.close();
});

test.each([
  ['whole', '{"return": 77}\n'],
  ['half', '{"return": "fro'],
  ['synchronized', '\xff{"return": 1}\n'],
  ['a broken line', '"}\n'],
  ['synchronized and half', '\xff{"return": 1}\n{"re'],
])('replies left over from an earlier client are skipped: %s', async (_what, leftOver) => {
  const { path } = await start({ leftOver });
  const client = await openGuestAgent(path);
  expect(await client.status()).toBe('thawed');
  client.close();
});

test('half a reply that nothing but the byte ends is skipped too', async () => {
  const { path } = await start({ leftOver: '{"return": "fro', quiet: true });
  const client = await openGuestAgent(path);
  expect(await client.status()).toBe('thawed');
  client.close();
});

test('a refusal carries what the agent said', async () => {
  const { path } = await start({ refuse: 'guest-fsfreeze-freeze' });
  const client = await openGuestAgent(path);
  await expect(client.freeze(1_000)).rejects.toMatchObject({
    code: 'QMP_COMMAND',
    qmp: { command: 'guest-fsfreeze-freeze', desc: 'not today' },
  });
  expect(await client.status()).toBe('thawed');
  client.close();
});

test('a freeze past its deadline has an unknown outcome, and its late reply is not taken for the thaw', async () => {
  const { path } = await start({ freezeMs: 400 });
  const client = await openGuestAgent(path);
  expect(await client.status()).toBe('thawed');
  await expect(client.freeze(200)).rejects.toMatchObject({ code: 'QMP_TIMEOUT', effect: 'unknown' });
  expect(await client.thaw(5_000)).toBe(2);
  expect(await client.status()).toBe('thawed');
  client.close();
});

test('half a reply after a deadline is skipped like a whole one', async () => {
  const { path } = await start({ freezeMs: 400, garble: true });
  const client = await openGuestAgent(path);
  await expect(client.freeze(200)).rejects.toMatchObject({ code: 'QMP_TIMEOUT' });
  expect(await client.thaw(5_000)).toBe(2);
  client.close();
});

test('a freeze that never answers leaves a thaw that ends by its own deadline', async () => {
  const { path } = await start({ freezeMs: Number.POSITIVE_INFINITY });
  const client = await openGuestAgent(path);
  await expect(client.freeze(20)).rejects.toMatchObject({ code: 'QMP_TIMEOUT' });
  await expect(client.thaw(20)).rejects.toMatchObject({ code: 'QMP_TIMEOUT', effect: 'notApplied' });
  client.close();
});

test('a guest without an agent is told from an agent that is slow', async () => {
  const client = await openGuestAgent(await listen(() => undefined));
  await expect(client.freeze(20)).rejects.toMatchObject({
    code: 'QMP_TIMEOUT',
    effect: 'notApplied',
    message: expect.stringContaining('is qemu-guest-agent running'),
  });
  client.close();
});

test('calls wait for their turn', async () => {
  const { path, agent } = await start({ freezeMs: 10 });
  const client = await openGuestAgent(path);
  expect(await Promise.all([client.freeze(5_000), client.status(), client.thaw(5_000)])).toEqual([
    3,
    'frozen',
    2,
  ]);
  expect(agent.commands.slice(1)).toEqual([
    'guest-fsfreeze-freeze',
    'guest-fsfreeze-status',
    'guest-fsfreeze-thaw',
  ]);
  client.close();
});

test('a connection that ends during a freeze leaves its outcome unknown, and later calls unsent', async () => {
  const { path } = await start({ hangUpOn: 'guest-fsfreeze-freeze' });
  const client = await openGuestAgent(path);
  await expect(client.freeze(1_000)).rejects.toMatchObject({ code: 'QMP_DISCONNECTED', effect: 'unknown' });
  await expect(client.thaw(1_000)).rejects.toMatchObject({ code: 'QMP_DISCONNECTED', effect: 'notApplied' });
});

test('no socket is QMP_CONNECT', async () => {
  await expect(openGuestAgent('/nonexistent/qga.sock')).rejects.toMatchObject({ code: 'QMP_CONNECT' });
});
