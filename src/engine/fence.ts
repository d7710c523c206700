/**
 * Keeps a saga that has lost its VM from acting: nothing that changes something leaves unless the journal has said within
 * the last half second that the lease is ours. A process that was stopped meanwhile sees by the monotonic clock that it
 * was, and asks again first. It writes nothing and decides nothing else.
 *
 * What is left is the time between that question and the system call right behind it: a process that is stopped exactly
 * there, for so long that another one has been made to take its saga over by force, still sends that one write.
 */
import { BlocksagaError } from '../errors.ts';
import type { Journal, Lease } from '../journal/journal.ts';
import type { QmpClient } from '../qmp/client.ts';
import { type Clock, sleep } from '../qmp/clock.ts';
import type { Command, Replies } from '../qmp/commands.ts';
import type { Files } from '../steps/files.ts';

/** For how long an answer of the journal is good, in milliseconds; who takes a saga over by force waits longer first. */
const LEASE_TRUSTED_MS = 500;

/** What is fenced; the same journal and lease as the saga's own. */
export interface FenceParts {
  readonly journal: Pick<Journal, 'confirm'>;
  readonly lease: Lease;
  readonly clock: Clock;
}

/** One saga's lease, and the ways to the world that are closed without it. */
export class Fence {
  readonly #parts: FenceParts;
  #trustedUntilMs = Number.NEGATIVE_INFINITY;
  #known: { readonly bare: QmpClient; readonly fenced: QmpClient } | undefined;

  constructor(parts: FenceParts) {
    this.#parts = parts;
  }

  /** Throws VM_BUSY when another process has the saga now, SAGA_STATE when it has ended there, JOURNAL. */
  readonly expectHeld = (): void => {
    const { journal, lease, clock } = this.#parts;
    const nowMs = clock.now();
    if (nowMs < this.#trustedUntilMs) return;
    journal.confirm(lease);
    this.#trustedUntilMs = nowMs + LEASE_TRUSTED_MS;
  };

  /** The client, whose commands that change something are sent only with the lease. */
  client(bare: QmpClient): QmpClient {
    if (this.#known?.bare !== bare) this.#known = { bare, fenced: fencedClient(bare, this.expectHeld) };
    return this.#known.fenced;
  }

  /** The files, which are made and removed only with the lease. */
  files(bare: Files): Files {
    return {
      stat: path => bare.stat(path),
      imageInfo: (path, driver) => bare.imageInfo(path, driver),
      syncDirectory: path => bare.syncDirectory(path),
      createExclusive: async (path, like) => {
        this.expectHeld();
        return bare.createExclusive(path, like);
      },
      unlink: async (path, identity) => {
        this.expectHeld();
        return bare.unlink(path, identity);
      },
    };
  }
}

/** Takes a saga over; one that is taken by force is the caller's alone only when no old answer is trusted any more. */
export async function seize(journal: Journal, saga: string, force: boolean, clock: Clock): Promise<Lease> {
  const lease = journal.takeOver(saga, { force });
  if (force) await sleep(clock, LEASE_TRUSTED_MS);
  return lease;
}

function fencedClient(bare: QmpClient, expectHeld: () => void): QmpClient {
  return {
    get version() {
      return bare.version;
    },
    get isOpen() {
      return bare.isOpen;
    },
    closed: bare.closed,
    // In one turn with the sending: nothing of this process comes in between.
    async execute(command, ...rest) {
      if (changes({ execute: command })) expectHeld();
      return bare.execute(command, ...rest);
    },
    async pipeline(commands, options) {
      try {
        if (commands.some(changes)) expectHeld();
      } catch (error) {
        if (!(error instanceof BlocksagaError)) throw error;
        return commands.map(() => ({ ok: false, error })) as Replies<typeof commands>;
      }
      return bare.pipeline(commands, options);
    },
    subscribe: listener => bare.subscribe(listener),
    until: (what, check, options) => bare.until(what, check, options),
    close: () => bare.close(),
  };
}

/** Commands that only tell; all others are taken for such as change something. */
function changes({ execute }: Pick<Command, 'execute'>): boolean {
  return !execute.startsWith('query-') && !ONLY_TELL.has(execute);
}

const ONLY_TELL: ReadonlySet<string> = new Set([
  'qom-list',
  'qom-get',
  'qmp_capabilities',
  'x-debug-query-block-graph',
]);
