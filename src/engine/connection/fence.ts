/**
 * Keeps a saga that has lost its VM from acting: nothing that changes something leaves unless the journal has said within
 * the last half second that the lease is ours. A process that was stopped meanwhile sees by the monotonic clock that it
 * was, and asks again first. It writes nothing and decides nothing else.
 *
 * What is left is the time between that question and the system call right behind it: a process that is stopped exactly
 * there, for so long that another one has been made to take its saga over by force, still sends that one write.
 */
import { BlocksagaError, definedOnly, invariant } from '../../errors.ts';
import { jobsOfPlan } from '../../guest/jobs-of-plan.ts';
import type { Files } from '../../images/files.ts';
import type { Journal, Lease } from '../../journal/journal.ts';
import { takenOver } from '../../journal/taken-over.ts';
import { whenFree } from '../../journal/waiting.ts';
import type { Plan } from '../../plan/plan.ts';
import type { QmpClient, QmpEvent, Reply, UntilOptions } from '../../qmp/client.ts';
import { type Clock, sleep } from '../../qmp/clock.ts';
import type { CallOptions, Command, CommandName, Replies } from '../../qmp/commands.ts';
import type { Jobs } from '../../qmp/jobs.ts';
import type { QmpVersion } from '../../qmp/messages.ts';
import { onlyTells } from '../../qmp/only-tells.ts';
import { valueIn } from '../../qmp/reply-values.ts';
import type { QmpCommands } from '../../qmp/schema.generated.ts';
import type { PauseBound } from './pause-bound.ts';

/** For how long an answer of the journal is good, in milliseconds; who takes a saga over by force waits longer first. */
const LEASE_TRUSTED_MS = 500;

type Returns<C extends CommandName> = QmpCommands[C]['returns'];

/** What is fenced; the same journal and lease as the saga's own. */
export interface FenceParts {
  readonly journal: Pick<Journal, 'confirm'>;
  readonly lease: Lease;
  readonly clock: Clock;
  /** What QEMU is to be told with the next change, in the same write; its answer is not needed. */
  readonly news?: () => Command | undefined;
}

/** One saga's lease, and the ways to the world that are closed without it. */
export class Fence {
  readonly #parts: FenceParts;
  #trustedUntilMs = Number.NEGATIVE_INFINITY;
  #known: { readonly bare: QmpClient; readonly fenced: QmpClient } | undefined;
  #jobs: Jobs | undefined;
  readonly #bound: PauseBound | undefined;

  /** `bound` hears what is said of the guest, and ends the waits for jobs with its pause. */
  constructor(parts: FenceParts, bound?: PauseBound) {
    this.#parts = parts;
    this.#bound = bound;
  }

  /** Throws VM_BUSY when another process has the saga now, SAGA_STATE when it has ended there, JOURNAL. */
  readonly expectHeld = (): void => {
    const { journal, lease, clock } = this.#parts;
    const nowMs = clock.now();
    if (nowMs < this.#trustedUntilMs) return;
    journal.confirm(lease);
    this.#trustedUntilMs = nowMs + LEASE_TRUSTED_MS;
  };

  readonly news = (): Command | undefined => this.#parts.news?.();

  /** The client, whose commands that change something are sent only with the lease. */
  client(bare: QmpClient): QmpClient {
    if (this.#known?.bare !== bare) {
      this.#known = { bare, fenced: new FencedClient(bare, this, this.#bound) };
      this.#jobs = undefined;
    }
    return this.#known.fenced;
  }

  /** The jobs over that client, as the QEMU of this plan, the same each time, knows them. */
  jobs(bare: QmpClient, plan: Plan): Jobs {
    this.client(bare);
    this.#jobs ??= jobsOfPlan(plan, new FencedClient(bare, this, this.#bound, true));
    return this.#jobs;
  }

  /** The files, which are made and removed only with the lease. */
  files(bare: Files): Files {
    const { place, whyInUse, openInQemu, isShared, answers, findMoved, overlaysIn, removeUnfinished } = bare;
    return {
      ...(place && { place: path => asOurs(path, () => place.call(bare, path)) }),
      ...(whyInUse && { whyInUse: path => asOurs(path, () => whyInUse.call(bare, path)) }),
      ...(openInQemu && { openInQemu: () => asOurs("QEMU's open files", () => openInQemu.call(bare)) }),
      ...(answers && { answers: (path, withinMs) => asOurs(path, () => answers.call(bare, path, withinMs)) }),
      ...(isShared && { isShared: path => asOurs(path, () => isShared.call(bare, path)) }),
      ...(removeUnfinished && {
        removeUnfinished: async (path: string, claim: string) => {
          this.expectHeld();
          return asOurs(path, () => removeUnfinished.call(bare, path, claim));
        },
      }),
      ...(findMoved && {
        findMoved: (path, sought) => asOurs(path, () => findMoved.call(bare, path, sought)),
      }),
      ...(overlaysIn && {
        overlaysIn: (directory, sinceMs) =>
          asOurs(directory, () => overlaysIn.call(bare, directory, sinceMs)),
      }),
      stat: path => asOurs(path, () => bare.stat(path)),
      imageInfo: (path, driver) => asOurs(path, () => bare.imageInfo(path, driver)),
      syncDirectory: path => asOurs(path, () => bare.syncDirectory(path)),
      createExclusive: async (path, like, claim, access) => {
        this.expectHeld();
        return asOurs(path, () => bare.createExclusive(path, like, claim, access));
      },
      unlink: async (path, identity) => {
        this.expectHeld();
        return asOurs(path, () => bare.unlink(path, identity));
      },
    };
  }
}

/** A failure of a `Files` port that the caller passed becomes an error of ours. */
async function asOurs<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof BlocksagaError) throw error;
    throw new BlocksagaError('FILES', `${path} could not be looked at, made or removed: ${String(error)}`, {
      effect: 'unknown',
      cause: error,
    });
  }
}

/**
 * Takes a saga over; one that is taken by force, or from a holder that was not seen to be dead, is the caller's alone only when
 * no old answer is trusted any more. The lease of a holder that cannot be seen is waited for, unless it is renewed meanwhile.
 */
export async function seize(journal: Journal, saga: string, force: boolean, clock: Clock): Promise<Lease> {
  const lease = await takeWhenFree(journal, saga, force, clock);
  if (force || lease.isFromUnseen) await sleep(clock, LEASE_TRUSTED_MS);
  return lease;
}

async function takeWhenFree(journal: Journal, saga: string, force: boolean, clock: Clock): Promise<Lease> {
  const row = journal.saga(saga);
  const renewedAtMs = row?.renewedAtMs;
  const note = row && takenOver(row, force);
  for (;;) {
    try {
      return await whenFree(clock, within =>
        journal.takeOver(saga, { force, ...definedOnly({ note }), ...within }),
      );
    } catch (error) {
      const mayRunOut = error instanceof BlocksagaError && error.code === 'VM_BUSY' && error.retryable;
      if (!mayRunOut || journal.saga(saga)?.renewedAtMs !== renewedAtMs) throw error;
    }
    await sleep(clock, LEASE_TRUSTED_MS);
  }
}

/** A class: its getters are shared, and make no object of a kind of its own for each connection. */
class FencedClient implements QmpClient {
  readonly closed: Promise<void>;
  readonly #bare: QmpClient;
  readonly #fence: Pick<Fence, 'expectHeld' | 'news'>;
  readonly #bound: PauseBound | undefined;
  /** Whether its waits end with the guest's pause. */
  readonly #waitsInPause: boolean;

  constructor(
    bare: QmpClient,
    fence: Pick<Fence, 'expectHeld' | 'news'>,
    bound?: PauseBound,
    waitsInPause = false,
  ) {
    this.closed = bare.closed;
    this.#bare = bare;
    this.#fence = fence;
    this.#bound = bound;
    this.#waitsInPause = waitsInPause;
  }

  get version(): QmpVersion {
    return this.#bare.version;
  }

  get isOpen(): boolean {
    return this.#bare.isOpen;
  }

  // In one turn with the sending: nothing of this process comes in between.
  execute: QmpClient['execute'] = (command, ...rest) => {
    const [args, options] = rest;
    const commands = [{ execute: command, arguments: args } as Command];
    const refusal = this.#whyNot(commands);
    if (refusal !== undefined) return Promise.reject(refusal);
    const heard = this.#bound?.sending(commands);
    const bounded = [args, this.#bound?.sounding(commands, options) ?? options] as typeof rest;
    const news = this.#newsBefore(commands);
    const answer =
      news === undefined
        ? this.#bare.execute(command, ...bounded)
        : this.#bare.pipeline([news, ...commands], bounded[1]).then(valueBehind<typeof command>);
    if (heard === undefined) return answer;
    return answer.then(
      value => {
        heard([{ ok: true, value }]);
        return value;
      },
      error => {
        heard([{ ok: false, error }]);
        throw error;
      },
    );
  };

  pipeline: QmpClient['pipeline'] = (commands, options) => {
    const error = this.#whyNot(commands);
    if (error === undefined) {
      const heard = this.#bound?.sending(commands);
      const bounded = this.#bound?.sounding(commands, options) ?? options;
      const news = this.#newsBefore(commands);
      const answers =
        news === undefined ? this.#bare.pipeline(commands, bounded) : this.#withNews(news, commands, bounded);
      if (heard === undefined) return answers;
      return answers.then(replies => {
        heard(replies as readonly Reply[]);
        return replies;
      });
    }
    return Promise.resolve(commands.map(() => ({ ok: false, error })) as Replies<typeof commands>);
  };

  subscribe(listener: (event: QmpEvent) => void): () => void {
    return this.#bare.subscribe(listener);
  }

  until<T>(what: string, check: () => Promise<T | undefined>, options: UntilOptions): Promise<T> {
    return this.#bare.until(
      what,
      check,
      (this.#waitsInPause ? this.#bound?.bounded(options) : undefined) ?? options,
    );
  }

  close(): void {
    this.#bare.close();
  }

  /** In front of the commands, or behind those that resume the guest, which does not wait for it. */
  async #withNews<const L extends readonly Command[]>(
    news: Command,
    commands: L,
    options: CallOptions | undefined,
  ): Promise<Replies<L>> {
    const isLast = commands.some(({ execute }) => execute === 'cont');
    const replies: readonly Reply[] = await this.#bare.pipeline(
      isLast ? [...commands, news] : [news, ...commands],
      placedFor(options, isLast ? 0 : 1, commands.length),
    );
    return (isLast ? replies.slice(0, -1) : replies.slice(1)) as unknown as Replies<L>;
  }

  /** Only with what changes something: that leaves with the lease alone. */
  #newsBefore(commands: readonly Command[]): Command | undefined {
    return commands.every(onlyTells) ? undefined : this.#fence.news();
  }

  #whyNot(commands: readonly Pick<Command, 'execute'>[]): BlocksagaError | undefined {
    if (commands.every(onlyTells)) return undefined;
    try {
      this.#fence.expectHeld();
      return undefined;
    } catch (error) {
      if (error instanceof BlocksagaError) return error;
      throw error;
    }
  }
}

/** Options for commands that others are sent with: `onReply` is not told of those, and by the places of its own. */
function placedFor(options: CallOptions | undefined, ahead: number, count: number): CallOptions | undefined {
  const told = options?.onReply;
  if (told === undefined) return options;
  const onReply = (place: number, reply: Reply) => {
    if (place >= ahead && place < ahead + count) told(place - ahead, reply);
  };
  return { ...options, onReply };
}

/** The value of the one command that was sent behind another. */
function valueBehind<C extends CommandName>([, reply]: readonly Reply[]): Returns<C> {
  invariant(reply, 'every command gets a reply');
  return valueIn(reply) as Returns<C>;
}
