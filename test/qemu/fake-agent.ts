/**
 * A guest agent on a UNIX socket, as qemu-ga behaves: one command after the other over all connections, no greeting, a
 * byte 0xFF puts it in step again. Faults it may inject: a freeze that is refused although it froze something, one that
 * takes `freezeMs`, or never ends.
 */
import { createServer, type Socket } from 'node:net';
import { sleep, systemClock } from '../../src/qmp/clock.ts';

export interface AgentFaults {
  /** A third party has frozen the guest already. */
  readonly frozenBefore?: boolean;
  readonly refuseFreeze?: boolean;
  /** `Infinity`: never answers again. */
  readonly freezeMs?: number;
}

export interface FakeAgent extends AsyncDisposable {
  readonly path: string;
  /** Whether any file system is frozen now. */
  frozen(): boolean;
}

/** Listens at `path`; pushes the name of every freeze and thaw to `log`. */
export async function fakeAgent(path: string, log: string[], faults: AgentFaults = {}): Promise<FakeAgent> {
  let isFrozen = faults.frozenBefore ?? false;
  let turn: Promise<void> = Promise.resolve();
  const sockets = new Set<Socket>();

  const answer = async (socket: Socket, line: string) => {
    const { execute, arguments: args } = JSON.parse(line);
    if (execute === 'guest-sync-delimited') return send(socket, { return: args.id }, '\xff');
    if (execute === 'guest-fsfreeze-status') return send(socket, { return: isFrozen ? 'frozen' : 'thawed' });
    log.push(execute);
    if (execute === 'guest-fsfreeze-thaw') {
      const count = isFrozen ? 2 : 0;
      isFrozen = false;
      return send(socket, { return: count });
    }
    if (isFrozen) {
      return send(socket, { error: { class: 'GenericError', desc: 'the agent is in frozen state' } });
    }
    if (faults.freezeMs === Number.POSITIVE_INFINITY) return new Promise<void>(() => undefined);
    await sleep(systemClock, faults.freezeMs ?? 0);
    isFrozen = true;
    const refusal = { error: { class: 'GenericError', desc: 'failed to freeze /var' } };
    return send(socket, faults.refuseFreeze ? refusal : { return: 2 });
  };
  const server = createServer(socket => {
    let text = '';
    sockets.add(socket);
    socket.on('error', () => socket.destroy()); // a client that leaves in the middle is part of some tests
    socket.on('data', chunk => {
      text += chunk.toString('latin1');
      text = text.slice(text.lastIndexOf('\xff') + 1);
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) turn = turn.then(() => answer(socket, line));
    });
  });
  await new Promise<void>(resolve => server.listen(path, resolve));
  return {
    path,
    frozen: () => isFrozen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

function send(socket: Socket, message: object, prefix = ''): void {
  if (!socket.destroyed) socket.write(Buffer.from(`${prefix}${JSON.stringify(message)}\n`, 'latin1'));
}
