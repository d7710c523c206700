/**
 * What the rest of the project speaks to QEMU through, and how to get one. It checks the shape of every message but not
 * what is inside a reply, retries nothing, and never decides what a refusal means.
 */

import { BlocksagaError } from '../errors.ts';
import { type Clock, systemClock } from './clock.ts';
import type {
  Arguments,
  CallOptions,
  CallRest,
  Command,
  CommandName,
  QmpEvent,
  Replies,
} from './commands.ts';
import { Connection } from './connection.ts';
import { expectLimit } from './limits.ts';
import type { QmpVersion } from './messages.ts';
import { startPatience } from './patience.ts';
import type { QmpCommands } from './schema.generated.ts';
import type { Connect, Transport, TransportHandlers } from './transport.ts';
import type { UntilOptions } from './until.ts';

export type { CallOptions, Command, CommandName, EventName, QmpEvent, Replies, Reply } from './commands.ts';
export type { UntilOptions } from './until.ts';

/** One negotiated connection to QEMU. */
export interface QmpClient {
  /** QEMU's version, from its greeting. */
  readonly version: QmpVersion;
  /** False from the moment either side has closed. */
  readonly isOpen: boolean;
  /** Resolves when the connection has ended, from either side. */
  readonly closed: Promise<void>;
  /**
   * Sends one command and resolves with what it returns.
   * Throws QMP_COMMAND (QEMU refused), QMP_TIMEOUT, QMP_DISCONNECTED or QMP_PROTOCOL (outcome unknown).
   */
  execute<C extends CommandName>(command: C, ...rest: CallRest<C>): Promise<QmpCommands[C]['returns']>;
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
  /** Closes; commands under way end as QMP_DISCONNECTED. QEMU and its jobs keep running. */
  close(): void;
}

/** What {@link openQmpClient} may be told. */
export interface QmpClientOptions {
  readonly clock?: Clock;
  /** How long QEMU's greeting may take, and the negotiation after it (default 10,000). */
  readonly greetingDeadlineMs?: number;
  /** Milliseconds per command, over the table in deadlines.ts. */
  readonly deadlines?: Partial<Record<CommandName, number>>;
}

const GREETING_DEADLINE_MS = 10_000;
/** For a `Connect` that has no deadline of its own. */
const CONNECT_DEADLINE_MS = 30_000;

/**
 * Connects, waits for QEMU's greeting and negotiates.
 * Throws QMP_CONNECT when there is no QEMU or its monitor serves another client, QMP_PROTOCOL when it is no monitor, REQUEST_INVALID
 * for deadlines that are none.
 *
 * @example
 * ```ts
 * const client = await openQmpClient(connectSocket('/run/vm.qmp'));
 * const { running } = await client.execute('query-status');
 * client.close();
 * ```
 */
export async function openQmpClient(connect: Connect, options: QmpClientOptions = {}): Promise<QmpClient> {
  expectLimit('greetingDeadlineMs', options.greetingDeadlineMs);
  for (const [name, limitMs] of Object.entries(options.deadlines ?? {}))
    expectLimit(`deadlines.${name}`, limitMs);
  const connection = new Connection(options.clock ?? systemClock, options.deadlines ?? {});
  const deadlineMs = options.greetingDeadlineMs ?? GREETING_DEADLINE_MS;
  connection.attach(await connected(connect, connection, options.clock ?? systemClock));
  try {
    const { capabilities } = await connection.greeted(deadlineMs);
    await connection.execute('qmp_capabilities', enabling(capabilities), { deadlineMs });
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * `oob` is enabled wherever QEMU offers it, though nothing is sent out of band: only with it does a monitor read on while
 * a command runs. Without, it stops reading behind each one until that is answered, which costs a pipelined command as
 * much again (QEMU's monitor/qmp.c, `handle_qmp_command`). Commands are carried out in order either way.
 */
function enabling(offered: readonly string[]): Arguments<'qmp_capabilities'> {
  return offered.includes('oob') ? { enable: ['oob'] } : {};
}

/** A `Connect` that the caller passed may fail with anything, and may come to nothing. */
async function connected(connect: Connect, handlers: TransportHandlers, clock: Clock): Promise<Transport> {
  const late = Promise.withResolvers<never>();
  let isLate = false;
  const { cancel } = startPatience({ clock, deadlineMs: CONNECT_DEADLINE_MS }, () => {
    isLate = true;
    const why = `QEMU cannot be reached: its connection was not up within ${CONNECT_DEADLINE_MS} ms`;
    late.reject(new BlocksagaError('QMP_CONNECT', why));
  });
  const opening = (async () => connect(handlers))();
  opening.then(
    transport => isLate && transport.close(),
    () => undefined,
  );
  try {
    return expectTransport(await Promise.race([opening, late.promise]));
  } catch (error) {
    if (error instanceof BlocksagaError) throw error;
    throw new BlocksagaError('QMP_CONNECT', `QEMU cannot be reached: ${String(error)}`, { cause: error });
  } finally {
    cancel();
  }
}

function expectTransport(given: Transport): Transport {
  const isOne = typeof given?.send === 'function' && typeof given.close === 'function';
  if (isOne) return given;
  throw new BlocksagaError('QMP_CONNECT', 'QEMU cannot be reached: what connects to it gave no transport', {
    retryable: false,
  });
}
