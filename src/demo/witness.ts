/**
 * A second pair of eyes on a guest: the barest QMP connection, on a monitor of its own. It shares nothing with
 * the client in `src/qmp` on purpose, so that what is claimed through our client can be checked without it.
 */
import { createConnection, type Socket } from 'node:net';
import { BlocksagaError } from '../errors.ts';
import { systemClock } from '../qmp/clock.ts';

const GREETING_DEADLINE_MS = 60_000;

/** An event as QEMU sent it; its time is QEMU's own. */
export interface WitnessedEvent {
  readonly event: string;
  readonly data?: unknown;
  readonly timestamp: { readonly seconds: number; readonly microseconds: number };
}

/** A bare QMP connection. Events are kept in the order of their arrival, for as long as it is open. */
export interface Witness {
  /** Sends one command; resolves with what it returned, rejects with QEMU's refusal (`QMP_COMMAND`). */
  execute(command: string, args?: object): Promise<unknown>;
  readonly events: readonly WitnessedEvent[];
  close(): void;
}

interface Reply {
  readonly QMP?: unknown;
  readonly event?: string;
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
}

interface Waiting {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Connects to the QMP server at a UNIX socket and negotiates. Throws `QMP_CONNECT` when there is none and
 * `QMP_DISCONNECTED` when it does not answer within 5 s (QEMU 5.2 may forget a client that comes very early).
 */
export async function connectWitness(path: string): Promise<Witness> {
  const socket = await connect(path);
  const waiting = new Map<number, Waiting>();
  const events: WitnessedEvent[] = [];
  let nextId = 1;
  let rest: Buffer = Buffer.alloc(0);

  socket.on('data', chunk => {
    const parts = Buffer.concat([rest, chunk]);
    const end = parts.lastIndexOf(0x0a);
    rest = parts.subarray(end + 1);
    for (const line of parts
      .subarray(0, end + 1)
      .toString()
      .split('\n')) {
      if (line.trim() !== '') take(JSON.parse(line) as Reply);
    }
  });
  socket.on('error', () => socket.destroy()); // 'close' follows and tells everyone who waits
  socket.on('close', () => {
    for (const { command, reject } of waiting.values()) {
      reject(new BlocksagaError('QMP_DISCONNECTED', `the monitor closed before it answered ${command}`));
    }
    waiting.clear();
  });

  function take(reply: Reply): void {
    if (reply.event !== undefined) events.push(reply as WitnessedEvent);
    const asked = reply.id === undefined ? undefined : waiting.get(reply.id);
    if (reply.id === undefined || asked === undefined) return; // the greeting, or an event
    waiting.delete(reply.id);
    if (reply.error === undefined) {
      asked.resolve(reply.return);
      return;
    }
    const { class: kind, desc } = reply.error;
    const qmp = { command: asked.command, class: kind, desc };
    asked.reject(new BlocksagaError('QMP_COMMAND', `QEMU refused ${asked.command}: ${desc}`, { qmp }));
  }

  const execute = (command: string, args: object = {}) =>
    new Promise<unknown>((resolve, reject) => {
      if (socket.destroyed) {
        reject(new BlocksagaError('QMP_DISCONNECTED', `the monitor is closed, cannot send ${command}`));
        return;
      }
      const id = nextId++;
      waiting.set(id, { command, resolve, reject });
      socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });

  const cancel = systemClock.after(GREETING_DEADLINE_MS, () => socket.destroy());
  await execute('qmp_capabilities').finally(cancel);
  return { execute, events, close: () => socket.destroy() };
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.off('error', refuse);
      resolve(socket);
    });
    const refuse = (cause: Error) =>
      reject(new BlocksagaError('QMP_CONNECT', `cannot connect to ${path}`, { cause }));
    socket.once('error', refuse);
  });
}
