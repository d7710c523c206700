/**
 * A QMP client over any `Transport`: greeting, commands matched to replies by id, events. It checks the shape of every
 * message but not what is inside a reply, retries nothing, and never decides what a refusal means.
 */

import { BlocksagaError, invariant } from '../errors.ts';
import { type Clock, systemClock } from './clock.ts';
import { deadlineMsFor } from './deadlines.ts';
import { type Message, parseGreeting, parseMessage, type QmpVersion } from './messages.ts';
import type { QmpCommands, QmpEvents } from './schema.generated.ts';
import type { Connect, Json, Transport, TransportHandlers } from './transport.ts';

/** A QMP command that this client has types for. */
export type CommandName = keyof QmpCommands;

/** A QMP event that this client has types for. */
export type EventName = keyof QmpEvents;

type Arguments<C extends CommandName> = QmpCommands[C]['arguments'];
type NoMembers = Record<never, never>;

/** One command to send; `arguments` may be left out where none is required. */
export type Command<C extends CommandName = CommandName> = C extends CommandName
  ? { readonly execute: C } & (NoMembers extends Arguments<C>
      ? { readonly arguments?: Arguments<C> }
      : { readonly arguments: Arguments<C> })
  : never;

/** How one command of several ended. */
export type Reply<T = unknown> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: BlocksagaError };

/** The replies to a list of commands, in the same order. */
export type Replies<L extends readonly Command[]> = {
  readonly [I in keyof L]: Reply<QmpCommands[L[I]['execute']]['returns']>;
};

/** One event. Events that this client has no types for are delivered too, under their own names. */
export type QmpEvent = {
  readonly [E in EventName]: {
    readonly event: E;
    readonly data: QmpEvents[E];
    readonly timestamp: { readonly seconds: number; readonly microseconds: number };
  };
}[EventName];

/** What a call may change; `deadlineMs` replaces the figure from the table in deadlines.ts. */
export interface CallOptions {
  readonly deadlineMs?: number;
}

/** When {@link QmpClient.until} looks again, and when it gives up; milliseconds. */
export interface UntilOptions {
  readonly wakeOn: readonly EventName[];
  readonly deadlineMs: number;
  /** Looks again this often even if no event comes (default 1000). */
  readonly pollMs?: number;
  readonly signal?: AbortSignal;
}

/** One negotiated connection to QEMU. */
export interface QmpClient {
  /** QEMU's version, from its greeting. */
  readonly version: QmpVersion;
  /** False from the moment either side has closed. */
  readonly isOpen: boolean;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  /**
   * Sends one command and resolves with what it returns.
   * Throws QMP_COMMAND (QEMU refused), QMP_TIMEOUT, QMP_DISCONNECTED or QMP_PROTOCOL (outcome unknown).
   */
  execute<C extends CommandName>(
    command: C,
    ...rest: NoMembers extends Arguments<C>
      ? [args?: Arguments<C>, options?: CallOptions]
      : [args: Arguments<C>, options?: CallOptions]
  ): Promise<QmpCommands[C]['returns']>;
  /**
   * Sends all commands as one write and resolves when every one is settled. Never rejects. One deadline holds for all
   * (default: the longest among them).
   */
  pipeline<const L extends readonly Command[]>(commands: L, options?: CallOptions): Promise<Replies<L>>;
  /** Calls back for each event, in order; returns what unsubscribes. A listener that throws crashes the process. */
  subscribe(listener: (event: QmpEvent) => void): () => void;
  /**
   * Repeats `check` until it gives something else than undefined: at once, after events of the named kinds (also those
   * that came while a check was under way), and every `pollMs`. `what` says in errors what was waited for. Throws
   * DEADLINE, QMP_DISCONNECTED when the connection ends, ABORTED when the signal aborts, and what `check` throws.
   */
  until<T>(what: string, check: () => Promise<T | undefined>, options: UntilOptions): Promise<T>;
  /** Closes; commands under way end as QMP_DISCONNECTED. QEMU and its jobs go on. */
  close(): void;
}

/** What {@link openQmpClient} may be told. */
export interface QmpClientOptions {
  readonly clock?: Clock;
  /** How long QEMU's greeting may take, and the negotiation after it (default 5000). */
  readonly greetingDeadlineMs?: number;
  /** Milliseconds per command, over the table in deadlines.ts. */
  readonly deadlines?: Partial<Record<CommandName, number>>;
}

const GREETING_DEADLINE_MS = 5_000;
const POLL_MS = 1_000;

/** More commands than this under way at once is a runaway caller. */
const IN_FLIGHT_MAX = 65_536;

/**
 * Connects, waits for QEMU's greeting and negotiates.
 * Throws QMP_CONNECT when there is no QEMU or its monitor serves someone else, QMP_PROTOCOL when it is no monitor.
 *
 * @example
 * ```ts
 * const client = await openQmpClient(connectSocket('/run/vm.qmp'));
 * const { running } = await client.execute('query-status');
 * client.close();
 * ```
 */
export async function openQmpClient(connect: Connect, options: QmpClientOptions = {}): Promise<QmpClient> {
  const connection = new Connection(options.clock ?? systemClock, options.deadlines ?? {});
  const deadlineMs = options.greetingDeadlineMs ?? GREETING_DEADLINE_MS;
  connection.attach(await connect(connection));
  try {
    await connection.greeted(deadlineMs);
    await connection.execute('qmp_capabilities', {}, { deadlineMs });
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Commands sent as one write: one deadline, one promise. */
interface Batch {
  readonly commands: readonly Command[];
  readonly replies: Reply[];
  unsettled: number;
  readonly settled: (replies: Reply[]) => void;
  cancelDeadline: () => void;
}

/** QMP's side of a client: everything that is waiting, and who wants events. */
class Connection implements QmpClient, TransportHandlers {
  readonly closed: Promise<void>;
  readonly #clock: Clock;
  readonly #deadlines: Partial<Record<CommandName, number>>;
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  /** By id, in order of sending. */
  readonly #waiting = new Map<number, { readonly batch: Batch; readonly index: number }>();
  #transport: Transport | undefined;
  #version: QmpVersion | undefined;
  #lastId = 0;
  #open = true;
  /** Why the connection ended, where we know. */
  #failure: BlocksagaError | undefined;
  #ended: () => void = () => {};
  #greetingSettled: (() => void) | undefined;

  constructor(clock: Clock, deadlines: Partial<Record<CommandName, number>>) {
    this.#clock = clock;
    this.#deadlines = deadlines;
    this.closed = new Promise(resolve => {
      this.#ended = resolve;
    });
  }

  attach(transport: Transport): void {
    this.#transport = transport;
    if (!this.#open) transport.close();
  }

  async greeted(deadlineMs: number): Promise<void> {
    if (this.#version === undefined && this.#open) {
      await new Promise<void>(resolve => {
        const cancel = this.#clock.after(deadlineMs, resolve);
        this.#greetingSettled = () => {
          cancel();
          resolve();
        };
      });
      this.#greetingSettled = undefined;
    }
    if (this.#version) return;
    if (this.#failure) throw this.#failure;
    throw new BlocksagaError('QMP_CONNECT', this.#open ? NO_GREETING(deadlineMs) : CLOSED_UNGREETED);
  }

  get version(): QmpVersion {
    invariant(this.#version, 'a client is handed out only after its greeting');
    return this.#version;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  async execute<C extends CommandName>(
    command: C,
    args?: Arguments<C>,
    options?: CallOptions,
  ): Promise<QmpCommands[C]['returns']> {
    const [reply] = await this.#send([commandOf(command, args)], options);
    invariant(reply, 'every command gets a reply');
    if (!reply.ok) throw reply.error;
    return reply.value as QmpCommands[C]['returns'];
  }

  async pipeline<const L extends readonly Command[]>(
    commands: L,
    options?: CallOptions,
  ): Promise<Replies<L>> {
    return (await this.#send(commands, options)) as Replies<L>;
  }

  #send(commands: readonly Command[], options: CallOptions | undefined): Promise<Reply[]> {
    if (commands.length === 0) return Promise.resolve([]);
    const unsent = this.#whyNotSent(commands);
    if (unsent) return Promise.resolve(commands.map(() => ({ ok: false, error: unsent })));
    return new Promise(settled => {
      const batch: Batch = {
        commands,
        replies: [],
        unsettled: commands.length,
        settled,
        cancelDeadline: () => {},
      };
      const first = this.#lastId + 1;
      const messages = commands.map((command, index) => {
        this.#lastId += 1;
        this.#waiting.set(this.#lastId, { batch, index });
        // Generated interfaces are JSON; only their lack of an index signature keeps the compiler from seeing it.
        return { ...command, id: this.#lastId } as unknown as Json;
      });
      const deadlineMs =
        options?.deadlineMs ?? Math.max(...commands.map(each => this.#deadlineMs(each.execute)));
      batch.cancelDeadline = this.#clock.after(deadlineMs, () => this.#timeOut(first, batch, deadlineMs));
      this.#transport?.send(messages);
    });
  }

  #whyNotSent(commands: readonly Command[]): BlocksagaError | undefined {
    const names = commands.map(command => command.execute).join(', ');
    if (!this.#open || !this.#transport)
      return new BlocksagaError(
        'QMP_DISCONNECTED',
        `${names} was not sent: the connection to QEMU has ended`,
        {
          outcome: 'notApplied',
          cause: this.#failure,
        },
      );
    if (this.#waiting.size + commands.length > IN_FLIGHT_MAX)
      return new BlocksagaError(
        'REQUEST_INVALID',
        `${commands.length} commands were not sent: ${this.#waiting.size} wait for replies already, ${IN_FLIGHT_MAX} may`,
      );
    return undefined;
  }

  #deadlineMs(command: CommandName): number {
    return this.#deadlines[command] ?? deadlineMsFor(command);
  }

  #timeOut(firstId: number, batch: Batch, deadlineMs: number): void {
    for (const [index, command] of batch.commands.entries()) {
      if (!this.#waiting.delete(firstId + index)) continue;
      settle(batch, index, {
        ok: false,
        error: new BlocksagaError(
          'QMP_TIMEOUT',
          `QEMU did not answer ${command.execute} within ${deadlineMs} ms and may still carry it out: look before trying again`,
        ),
      });
    }
  }

  onMessage(json: Json): void {
    if (!this.#open) return;
    if (this.#version === undefined) return this.#onGreeting(json);
    const message = parseMessage(json);
    switch (message.kind) {
      case 'event':
        return this.#onEvent(message.event as QmpEvent);
      case 'return':
      case 'error':
        return this.#onReply(message);
      case 'nonsense':
        return this.#fail(new BlocksagaError('QMP_PROTOCOL', message.why));
    }
  }

  #onGreeting(json: Json): void {
    const greeting = parseGreeting(json);
    if (greeting instanceof BlocksagaError) return this.#fail(greeting);
    this.#version = greeting;
    this.#greetingSettled?.();
  }

  #onEvent(event: QmpEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        // Their fault must not stop ours; on a task of its own it crashes as it should.
        this.#clock.after(0, () => {
          throw error;
        });
      }
    }
  }

  #onReply(message: Message & { kind: 'return' | 'error' }): void {
    const { id } = message;
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 1 || id > this.#lastId)
      return this.#fail(
        new BlocksagaError(
          'QMP_PROTOCOL',
          message.kind === 'error'
            ? `QEMU could not read what it was sent: ${message.desc}`
            : 'QEMU answered a command that was not sent: does another client write to this monitor?',
        ),
      );
    const waiting = this.#waiting.get(id);
    if (!waiting) return; // A late reply: its deadline has passed, and its caller has been told.
    this.#waiting.delete(id);
    const command = waiting.batch.commands[waiting.index];
    invariant(command, 'a reply waits for a command');
    settle(
      waiting.batch,
      waiting.index,
      message.kind === 'return'
        ? { ok: true, value: message.value }
        : { ok: false, error: refusal(command.execute, message.class, message.desc) },
    );
  }

  /** Ends a connection on which nothing can be trusted any more. */
  #fail(error: BlocksagaError): void {
    this.#failure ??= error;
    this.close();
    this.#settleAll();
  }

  onClose(reason?: Error): void {
    if (reason instanceof BlocksagaError) this.#failure ??= reason;
    this.#open = false;
    this.#settleAll();
    this.#ended();
    this.#greetingSettled?.();
  }

  #settleAll(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { batch, index } of waiting)
      settle(batch, index, { ok: false, error: this.#lost(batch.commands[index]?.execute ?? 'a command') });
  }

  #lost(what: string): BlocksagaError {
    if (this.#failure?.code === 'QMP_PROTOCOL')
      return new BlocksagaError('QMP_PROTOCOL', `the reply to ${what} is lost: ${this.#failure.message}`, {
        cause: this.#failure,
      });
    return new BlocksagaError(
      'QMP_DISCONNECTED',
      `the connection to QEMU ended before ${what} was answered`,
      {
        cause: this.#failure,
      },
    );
  }

  subscribe(listener: (event: QmpEvent) => void): () => void {
    // Wrapped, so that one function may listen twice and end each on its own.
    const entry = (event: QmpEvent) => listener(event);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  async until<T>(what: string, check: () => Promise<T | undefined>, options: UntilOptions): Promise<T> {
    const { wakeOn, deadlineMs, pollMs = POLL_MS, signal } = options;
    const deadline = this.#clock.now() + deadlineMs;
    let woken = false;
    let wake = () => {};
    const onWake = () => {
      woken = true;
      wake();
    };
    const unsubscribe = this.subscribe(({ event }) => {
      if (wakeOn.includes(event)) onWake();
    });
    signal?.addEventListener('abort', onWake);
    this.closed.then(onWake);
    try {
      for (;;) {
        woken = false;
        if (signal?.aborted) throw new BlocksagaError('ABORTED', `stopped waiting for ${what}`);
        if (!this.#open) throw this.#lost(what);
        const value = await check();
        if (value !== undefined) return value;
        const leftMs = deadline - this.#clock.now();
        if (leftMs <= 0) throw new BlocksagaError('DEADLINE', `${what}: not within ${deadlineMs} ms`);
        if (woken) continue;
        await new Promise<void>(resolve => {
          const cancel = this.#clock.after(Math.min(pollMs, leftMs), resolve);
          wake = () => {
            cancel();
            resolve();
          };
        });
      }
    } finally {
      unsubscribe();
      signal?.removeEventListener('abort', onWake);
    }
  }

  close(): void {
    this.#open = false;
    this.#transport?.close();
  }
}

function commandOf<C extends CommandName>(execute: C, args: Arguments<C> | undefined): Command {
  return (args === undefined ? { execute } : { execute, arguments: args }) as Command;
}

function settle(batch: Batch, index: number, reply: Reply): void {
  batch.replies[index] = reply;
  batch.unsettled -= 1;
  if (batch.unsettled > 0) return;
  batch.cancelDeadline();
  batch.settled(batch.replies);
}

function refusal(command: string, errorClass: string, desc: string): BlocksagaError {
  return new BlocksagaError('QMP_COMMAND', `QEMU refused ${command}: ${desc}`, {
    qmp: { command, class: errorClass, desc },
    outcome: 'notApplied',
    retryable: false,
  });
}

const NO_GREETING = (deadlineMs: number) =>
  `QEMU sent no greeting within ${deadlineMs} ms. A monitor serves one client at a time, so another client (libvirt, a ` +
  'management tool, a shell) probably holds this one: start QEMU with a monitor of its own for blocksaga, ' +
  '-qmp unix:/run/vm.blocksaga.qmp,server=on,wait=off, or end the other client. A guest agent sends no greeting either';

const CLOSED_UNGREETED =
  'the connection was closed before QEMU greeted: QEMU has just ended, is still starting, or this is no QMP monitor; try again';
