/**
 * The commands that wait for their replies: ids, batches, and one deadline per batch. It sends nothing and knows no
 * connection; every command that enters leaves settled exactly once.
 */

import { BlocksagaError, invariant } from '../errors.ts';
import type { Clock } from './clock.ts';
import type { CallOptions, Command, CommandName, Reply } from './commands.ts';
import { type Patience, startPatience } from './patience.ts';
import type { Json } from './transport.ts';

/** Commands sent as one write: one deadline, one promise. */
interface Batch {
  readonly commands: readonly Command[];
  readonly replies: Reply[];
  unsettled: number;
  readonly settled: (replies: Reply[]) => void;
  readonly onReply: CallOptions['onReply'];
  patience?: Patience;
}

/** Commands that were sent: their replies, and what gives those up that have not come by now. */
export interface Entered {
  readonly replies: Promise<readonly Reply[]>;
  giveUp(why: string): void;
}

/** All that one connection waits for. Ids are 1, 2, 3, ... in order of sending. */
export class InFlight {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, { readonly batch: Batch; readonly index: number }>();
  /** Ids of commands that were given up, whose replies may still come. */
  readonly #late = new Set<number>();
  #lastId = 0;
  #heardMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Registers commands and hands their messages to `send`; the replies are there when the last of them is settled. */
  enter(
    commands: readonly Command[],
    deadlineMs: number,
    send: (messages: readonly Json[]) => void,
    onReply?: CallOptions['onReply'],
  ): Entered {
    const { promise: replies, resolve: settled } = Promise.withResolvers<readonly Reply[]>();
    const batch: Batch = { commands, replies: [], unsettled: commands.length, settled, onReply };
    const firstId = this.#lastId + 1;
    const messages = commands.map((command, index) => {
      this.#lastId += 1;
      this.#waiting.set(this.#lastId, { batch, index });
      return messageOf(command, this.#lastId);
    });
    const giveUp = (why: string) => this.#giveUp(firstId, batch, why);
    batch.patience = startPatience({ clock: this.#clock, deadlineMs, heardMs: () => this.#heardMs }, () =>
      giveUp(`within ${deadlineMs} ms`),
    );
    send(messages);
    return { replies, giveUp };
  }

  /** QEMU is alive: what waits keeps waiting. */
  heard(): void {
    this.#heardMs = this.#clock.now();
  }

  /**
   * Settles one command. A late reply settles nothing: its caller has been told of the deadline. False for an id for
   * which no reply can come, or no further one.
   */
  settle(id: Json | undefined, replyTo: (command: CommandName) => Reply): boolean {
    if (typeof id !== 'number') return false;
    const waiting = this.#waiting.get(id);
    if (!waiting) return this.#late.delete(id);
    this.#waiting.delete(id);
    const { batch, index } = waiting;
    const command = batch.commands[index];
    invariant(command, 'a reply waits for a command');
    const reply = replyTo(command.execute);
    batch.replies[index] = reply;
    this.#tell(batch, index, reply);
    batch.unsettled -= 1;
    if (batch.unsettled > 0) {
      batch.patience?.progress();
      return true;
    }
    batch.patience?.cancel();
    batch.settled(batch.replies);
    return true;
  }

  /** Its fault must not stop ours; on a task of its own it crashes as it should. */
  #tell({ onReply }: Batch, place: number, reply: Reply): void {
    try {
      onReply?.(place, reply);
    } catch (error) {
      this.#clock.after(0, () => {
        throw error;
      });
    }
  }

  /** Settles everything, when no reply can come any more. */
  settleAll(replyTo: (command: CommandName) => Reply): void {
    for (const id of [...this.#waiting.keys()]) this.settle(id, replyTo);
  }

  #giveUp(firstId: number, batch: Batch, why: string): void {
    for (const index of batch.commands.keys()) {
      if (!this.#waiting.has(firstId + index)) continue;
      this.#late.add(firstId + index);
      this.settle(firstId + index, command => ({
        ok: false,
        error: new BlocksagaError(
          'QMP_TIMEOUT',
          `QEMU did not answer ${command} ${why}, and may have carried it out or do so yet: look before trying again`,
        ),
      }));
    }
  }
}

/** Generated interfaces are JSON; only their lack of an index signature keeps the compiler from seeing it. */
function messageOf(command: Command, id: number): Json {
  const { execute, arguments: given } = command as { readonly execute: string; readonly arguments?: Json };
  return given === undefined ? { execute, id } : { execute, arguments: given, id };
}
