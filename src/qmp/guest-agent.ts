/**
 * The QEMU guest agent, as far as a snapshot needs it: freeze, thaw, status. The agent has no greeting, no ids and no
 * way to cancel a command, so after a deadline the stream is put in step again before the next command (qemu-ga's
 * guest-sync-delimited). It retries nothing; that a freeze is followed by a thaw is its caller's duty.
 */

import type { Socket } from 'node:net';
import { BlocksagaError } from '../errors.ts';
import { type Clock, systemClock } from './clock.ts';
import { encodeMessages, LineDecoder, parseJson } from './codec.ts';
import { isObject } from './messages.ts';
import { startPatience } from './patience.ts';
import { openSocket, parseAddress } from './socket.ts';
import type { Json } from './transport.ts';

/** One connection to the agent in one guest. Calls are carried out one after the other. */
export interface GuestAgent {
  /** Freezes the guest's file systems and tells how many. Throws QMP_TIMEOUT (it may freeze yet), QMP_COMMAND, QMP_DISCONNECTED. */
  freeze(deadlineMs: number): Promise<number>;
  /** Thaws them and tells how many; 0 when none was frozen. Throws as `freeze`. */
  thaw(deadlineMs: number): Promise<number>;
  /** Whether any file system is frozen. Throws as `freeze`. */
  status(): Promise<'frozen' | 'thawed'>;
  /** Closes the connection. It thaws nothing. */
  close(): void;
}

/** What {@link openGuestAgent} may be told. */
export interface GuestAgentOptions {
  readonly clock?: Clock;
  /** How long the agent may take to connect, and to answer `status`, in milliseconds (default 10,000). */
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 10_000;

/** Ends whatever was begun before it, in both directions; no JSON text holds this byte. */
const SENTINEL = 0xff;

/**
 * Connects to a guest agent's socket. Whether an agent runs inside shows only with the first call, as QMP_TIMEOUT.
 * Throws REQUEST_INVALID for an address of no known form, QMP_CONNECT.
 *
 * @example
 * ```ts
 * const agent = await openGuestAgent('/run/vm.qga');
 * await agent.freeze(10_000);
 * await agent.thaw(10_000);
 * agent.close();
 * ```
 */
export async function openGuestAgent(address: string, options: GuestAgentOptions = {}): Promise<GuestAgent> {
  const clock = options.clock ?? systemClock;
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  const socket = await openSocket(parseAddress(address), address, clock, deadlineMs);
  const line = new AgentLine(socket, clock);
  return {
    freeze: async ms => asCount('guest-fsfreeze-freeze', await line.call('guest-fsfreeze-freeze', ms)),
    thaw: async ms => asCount('guest-fsfreeze-thaw', await line.call('guest-fsfreeze-thaw', ms)),
    status: async () => asStatus(await line.call('guest-fsfreeze-status', deadlineMs)),
    close: () => socket.destroy(),
  };
}

interface Waiting {
  readonly onMessage: (message: Json) => void;
  readonly onEnd: (error: BlocksagaError) => void;
}

/** The byte stream, with at most one call on it. */
class AgentLine {
  readonly #socket: Socket;
  readonly #clock: Clock;
  #lines = new LineDecoder();
  /** Until then, what comes may be the rest of an answer that is not waited for, and need not be JSON. */
  #synchronized = false;
  #waiting: Waiting | undefined;
  #failure: BlocksagaError | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** Starts at the time, so that it is none that an earlier client of this agent has used. */
  #syncId: number;
  /** False when a reply to an earlier call may still come. */
  #inStep = false;
  #heardMs = Number.NEGATIVE_INFINITY;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.#syncId = Math.floor(clock.epochMs());
    socket.on('data', chunk => this.#onData(chunk));
    socket.on('error', cause => {
      this.#failure ??= new BlocksagaError(
        'QMP_DISCONNECTED',
        `the guest agent's line broke: ${cause.message}`,
        {
          cause,
        },
      );
    });
    socket.on('close', () => {
      this.#failure ??= new BlocksagaError('QMP_DISCONNECTED', 'the connection to the guest agent has ended');
      this.#waiting?.onEnd(this.#failure);
    });
  }

  call(command: string, deadlineMs: number): Promise<Json> {
    const result = this.#turn.then(() => this.#callNow(command, deadlineMs));
    this.#turn = result.catch(() => undefined); // The caller has it; the next in turn only waits for it.
    return result;
  }

  async #callNow(command: string, deadlineMs: number): Promise<Json> {
    if (!this.#inStep) await this.#synchronize(deadlineMs);
    this.#inStep = false;
    const reply = await this.#exchange(
      Buffer.from(encodeMessages([{ execute: command }])),
      deadlineMs,
      `the guest agent did not answer ${command} within ${deadlineMs} ms and may still carry it out`,
      'unknown',
      message => message,
    );
    this.#inStep = true;
    return returned(command, reply);
  }

  /** Skips whatever is left of earlier calls (qga/qapi-schema.json, guest-sync-delimited). */
  async #synchronize(deadlineMs: number): Promise<void> {
    this.#syncId += 1;
    this.#synchronized = false;
    const id = this.#syncId;
    await this.#exchange(
      // The byte ends what an earlier client may have left half sent; before another command it would cost an error reply.
      Buffer.concat([
        Buffer.of(SENTINEL),
        Buffer.from(encodeMessages([{ execute: 'guest-sync-delimited', arguments: { id } }])),
      ]),
      deadlineMs,
      `no guest agent answered within ${deadlineMs} ms: is qemu-guest-agent running in the guest?`,
      'notApplied',
      message => (isObject(message) && message['return'] === id ? message : undefined),
    );
    this.#synchronized = true;
  }

  #exchange(
    bytes: Uint8Array,
    deadlineMs: number,
    late: string,
    effectWhenLate: 'unknown' | 'notApplied',
    accept: (message: Json) => Json | undefined,
  ): Promise<Json> {
    if (this.#failure) return Promise.reject(notSent(this.#failure));
    return new Promise((resolve, reject) => {
      const end = (act: () => void) => {
        this.#waiting = undefined;
        patience.cancel();
        act();
      };
      const patience = startPatience({ clock: this.#clock, deadlineMs, heardMs: () => this.#heardMs }, () =>
        end(() => reject(new BlocksagaError('QMP_TIMEOUT', late, { effect: effectWhenLate }))),
      );
      this.#waiting = {
        onMessage: message => {
          const accepted = accept(message);
          if (accepted !== undefined) end(() => resolve(accepted));
        },
        onEnd: error => end(() => reject(error)),
      };
      this.#socket.write(bytes);
    });
  }

  #onData(chunk: Buffer): void {
    this.#heardMs = this.#clock.now();
    const sentinel = chunk.lastIndexOf(SENTINEL);
    if (sentinel !== -1) this.#lines = new LineDecoder();
    try {
      for (const line of this.#lines.push(chunk.subarray(sentinel + 1))) this.#onLine(line);
    } catch (error) {
      this.#failure ??=
        error instanceof BlocksagaError
          ? error
          : new BlocksagaError('QMP_PROTOCOL', `what the guest agent sent cannot be read: ${error}`, {
              cause: error,
            });
      this.#socket.destroy();
    }
  }

  #onLine(line: string): void {
    if (this.#synchronized || isJson(line)) this.#waiting?.onMessage(parseJson(line));
  }
}

/** Whether a line that may be the rest of anything is a whole message. */
function isJson(line: string): boolean {
  try {
    parseJson(line);
    return true;
  } catch {
    return false;
  }
}

function returned(command: string, reply: Json): Json {
  if (isObject(reply) && reply['return'] !== undefined) return reply['return'];
  const error = isObject(reply) ? reply['error'] : undefined;
  if (!isObject(error) || typeof error['desc'] !== 'string' || typeof error['class'] !== 'string')
    throw strange(command);
  throw new BlocksagaError('QMP_COMMAND', `the guest agent refused ${command}: ${error['desc']}`, {
    qmp: { command, class: error['class'], desc: error['desc'] },
  });
}

function asCount(command: string, value: Json): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw strange(command);
}

function asStatus(value: Json): 'frozen' | 'thawed' {
  if (value === 'frozen' || value === 'thawed') return value;
  throw strange('guest-fsfreeze-status');
}

function strange(command: string): BlocksagaError {
  return new BlocksagaError('QMP_PROTOCOL', `the guest agent answered ${command} with what it never should`);
}

function notSent(failure: BlocksagaError): BlocksagaError {
  return new BlocksagaError('QMP_DISCONNECTED', 'the connection to the guest agent has ended', {
    effect: 'notApplied',
    cause: failure,
  });
}
