/**
 * A connection to what may be a storage daemon, which has QEMU's nodes and jobs, and neither guest nor devices: its exports are
 * its disks. What is asked of a guest is answered here as far as that is true of one that cannot be paused; `stop` and `cont` are
 * refused by the daemon itself. To QEMU with a guest it sends nothing of its own.
 */
import { BlocksagaError } from '../errors.ts';
import {
  type CallOptions,
  openQmpClient,
  type QmpClient,
  type QmpClientOptions,
  type QmpEvent,
  type UntilOptions,
} from '../qmp/client.ts';
import type { Command, Replies, Reply } from '../qmp/commands.ts';
import type { QmpVersion } from '../qmp/messages.ts';
import { onlyTells } from '../qmp/only-tells.ts';
import type { BlockDeviceInfo, BlockExportInfo, StatusInfo } from '../qmp/schema.generated.ts';
import type { Connect } from '../qmp/transport.ts';
import { exportedDisks } from './exported-disks.ts';

/** As `openQmpClient`, also to a storage daemon. */
export async function openGuestClient(connect: Connect, options?: QmpClientOptions): Promise<QmpClient> {
  return new GuestOrDaemon(await openQmpClient(connect, options));
}

/** What every QEMU with a guest knows, by the replies to these: a storage daemon knows none of them. */
export function isDaemon(replies: readonly Reply[]): boolean {
  return replies.every(isUnknown);
}

const LOOK = [{ execute: 'query-status' }, { execute: 'query-uuid' }, { execute: 'query-name' }] as const;
const STATUS = LOOK[0].execute;
/** An export's clients may write at any time. */
const RUNS: StatusInfo = { running: true, singlestep: false, status: 'running' };
const DISKS = [{ execute: 'query-block-exports' }, { execute: 'query-named-block-nodes' }] as const;

class GuestOrDaemon implements QmpClient {
  readonly closed: Promise<void>;
  readonly #bare: QmpClient;
  #isDaemon: boolean | undefined;

  constructor(bare: QmpClient) {
    this.closed = bare.closed;
    this.#bare = bare;
  }

  get version(): QmpVersion {
    return this.#bare.version;
  }

  get isOpen(): boolean {
    return this.#bare.isOpen;
  }

  execute: QmpClient['execute'] = (command, ...rest) => {
    if (this.#isDaemon === false || !isAskedOfGuest({ execute: command }))
      return this.#bare.execute(command, ...rest);
    const [args, options] = rest;
    const one = (
      args === undefined ? { execute: command } : { execute: command, arguments: args }
    ) as Command;
    return this.#ask([one], options).then(([reply]) => valueIn(reply));
  };

  pipeline: QmpClient['pipeline'] = (commands, options) => {
    if (this.#isDaemon === false || !commands.some(isAskedOfGuest))
      return this.#bare.pipeline(commands, options);
    return this.#ask(commands, options) as Promise<Replies<typeof commands>>;
  };

  #ask(commands: readonly Command[], options: CallOptions | undefined): Promise<readonly Reply[]> {
    return this.#isDaemon === undefined
      ? this.#askUnknown(commands, options)
      : this.#askDaemon(commands, options);
  }

  /** Until it is known what is there, which is asked by itself only where these do not tell. */
  async #askUnknown(commands: readonly Command[], options?: CallOptions): Promise<readonly Reply[]> {
    if (!commands.every(onlyTells)) {
      await this.#look(options);
      return this.#askAgain(commands, options);
    }
    const replies: readonly Reply[] = await this.#bare.pipeline(commands, options);
    if (commands.some((command, at) => maybeDaemons(command, replies[at]))) await this.#look(options);
    else if (commands.some(({ execute }, at) => execute === STATUS && replies[at]?.ok))
      this.#isDaemon = false;
    // Nothing that only tells has changed anything, so that it can be asked again.
    return this.#isDaemon === true ? this.#askDaemon(commands, quietly(options)) : replies;
  }

  #askAgain(commands: readonly Command[], options?: CallOptions): Promise<readonly Reply[]> {
    return this.#isDaemon === true
      ? this.#askDaemon(commands, options)
      : this.#bare.pipeline(commands, options);
  }

  async #look(options?: CallOptions): Promise<void> {
    const replies = await this.#bare.pipeline(LOOK, quietly(options));
    if (isDaemon(replies)) this.#isDaemon = true;
    else if (replies[0].ok) this.#isDaemon = false;
  }

  /** In one write, and in its order: `query-block` is two commands here. Each reply is told of when all are there: it tells of no guest. */
  async #askDaemon(commands: readonly Command[], options?: CallOptions): Promise<readonly Reply[]> {
    const sent = commands.map(command => (command.execute === 'query-block' ? DISKS : [command]));
    const replies: readonly Reply[] = await this.#bare.pipeline(sent.flat(), quietly(options));
    const left = [...replies];
    const answers = commands.map((command, at) => answerOf(command, left.splice(0, sent[at]?.length)));
    for (const [place, answer] of answers.entries()) options?.onReply?.(place, answer);
    return answers;
  }

  subscribe(listener: (event: QmpEvent) => void): () => void {
    return this.#bare.subscribe(listener);
  }

  until<T>(what: string, check: () => Promise<T | undefined>, options: UntilOptions): Promise<T> {
    return this.#bare.until(what, check, options);
  }

  close(): void {
    this.#bare.close();
  }
}

/** For other commands than those that the caller has sent. */
function quietly(options: CallOptions = {}): CallOptions {
  const { onReply: _, ...others } = options;
  return others;
}

/** What a storage daemon's own replies to one command come to. */
function answerOf(command: Command, [first, second]: readonly Reply[]): Reply {
  if (first === undefined) throw new BlocksagaError('QMP_PROTOCOL', `${command.execute} has no answer`);
  if (command.execute === STATUS && isUnknown(first)) return { ok: true, value: RUNS };
  // Until the first object is made there is no place for them.
  if (command.execute === 'qom-list' && isForObjects(command) && hasNone(first))
    return { ok: true, value: [] };
  if (command.execute !== 'query-block' || second === undefined) return first;
  if (!first.ok) return first;
  if (!second.ok) return second;
  const [exports, nodes] = [
    first.value as readonly BlockExportInfo[],
    second.value as readonly BlockDeviceInfo[],
  ];
  return { ok: true, value: exportedDisks(exports, nodes) };
}

function valueIn<T>(reply: Reply | undefined): T {
  if (reply === undefined) throw new BlocksagaError('QMP_PROTOCOL', 'a command has no answer');
  if (!reply.ok) throw reply.error;
  return reply.value as T;
}

const ASKED_OF_GUESTS: ReadonlySet<string> = new Set(['query-status', 'query-block', 'qom-list']);

function isAskedOfGuest({ execute }: Pick<Command, 'execute'>): boolean {
  return ASKED_OF_GUESTS.has(execute);
}

/** Each guest has a state and a place of its objects, and most have a disk. */
function maybeDaemons(command: Command, reply: Reply | undefined): boolean {
  if (reply === undefined) return false;
  if (command.execute === STATUS) return isUnknown(reply);
  if (command.execute === 'qom-list') return isForObjects(command) && hasNone(reply);
  return (
    command.execute === 'query-block' && reply.ok && Array.isArray(reply.value) && reply.value.length === 0
  );
}

function isForObjects(command: Command): boolean {
  return command.execute === 'qom-list' && command.arguments.path === '/objects';
}

function hasNone(reply: Reply): boolean {
  return !reply.ok && reply.error.qmp?.class === 'DeviceNotFound';
}

function isUnknown(reply: Reply): boolean {
  return !reply.ok && reply.error.qmp?.class === 'CommandNotFound';
}
