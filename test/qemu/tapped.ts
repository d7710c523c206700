/**
 * A tap on the line between the engine and a real QEMU: it records every command, can act at an exact moment of a saga
 * (just before a command goes out, just after its reply came), and can cut the line. It changes no message.
 */
import { connectSocket } from '../../src/qmp/socket.ts';
import type { Connect, Json, Transport } from '../../src/qmp/transport.ts';
import type { Arguments } from '../../src/sim/state/arguments.ts';
import { isOfCount } from '../../src/sim/state/of-count.ts';

/** What is done at that moment; nothing passes the tap until it has ended. */
type Act = () => Promise<unknown>;

interface Hook {
  readonly command: string;
  readonly when: 'before' | 'after';
  readonly act: Act;
  /** How many commands of that name pass before it. */
  skip: number;
}

interface Sent {
  readonly execute: string;
  readonly id: Json;
  readonly arguments?: Arguments;
}

export class Tap {
  /** The names of all commands sent so far, over all connections, but for those about how much of a saga is in its journal. */
  readonly commands: string[] = [];
  readonly #open: Connect;
  readonly #hooks: Hook[] = [];
  #cut: () => void = () => undefined;

  constructor(monitor: string) {
    this.#open = connectSocket(monitor);
  }

  /** Acts once, before the first such command (or the one after `skip` others) is sent. */
  before(command: string, act: Act, skip = 0): void {
    this.#hooks.push({ command, when: 'before', act, skip });
  }

  /** Acts once, when QEMU has answered that command, before the engine hears of it. */
  after(command: string, act: Act, skip = 0): void {
    this.#hooks.push({ command, when: 'after', act, skip });
  }

  /** Cuts the line; what is on its way is lost. The engine may connect again. */
  cut(): void {
    this.#cut();
  }

  /** Hooks whose moment never came: a test that counts on one must find none. */
  get pending(): readonly string[] {
    return this.#hooks.map(hook => `${hook.when} ${hook.command}`);
  }

  readonly connect: Connect = async handlers => {
    const names = new Map<Json, string>();
    let isOpen = true;
    let inbound: Promise<void> = Promise.resolve();
    let outbound: Promise<void> = Promise.resolve();
    const end = (reason?: Error) => {
      if (!isOpen) return;
      isOpen = false;
      handlers.onClose(reason);
    };
    const receive = async (message: Json) => {
      const name = names.get(idOf(message));
      if (name !== undefined) await this.#reach(name, 'after');
      if (isOpen) handlers.onMessage(message);
    };
    const transport: Transport = await this.#open({
      onMessage: message => {
        inbound = inbound.then(() => receive(message));
      },
      onClose: reason => {
        inbound = inbound.then(() => end(reason));
      },
    });
    this.#cut = () => {
      transport.close();
      end();
    };
    const send = async (messages: readonly Json[]) => {
      let ready: Json[] = [];
      for (const message of messages) {
        const { execute, id, arguments: given = {} } = message as unknown as Sent;
        if (isOfCount(execute, given)) {
          ready.push(message);
          continue;
        }
        names.set(id, execute);
        if (this.#waits(execute)) {
          if (ready.length > 0) transport.send(ready);
          ready = [];
        }
        await this.#reach(execute, 'before');
        this.commands.push(execute);
        ready.push(message);
      }
      if (isOpen && ready.length > 0) transport.send(ready);
    };
    return {
      send: messages => {
        outbound = outbound.then(() => send(messages));
      },
      close: () => {
        outbound = outbound.then(() => transport.close());
      },
    };
  };

  #waits(command: string): boolean {
    return this.#hooks.some(hook => hook.when === 'before' && hook.command === command && hook.skip === 0);
  }

  async #reach(command: string, when: Hook['when']): Promise<void> {
    for (const hook of [...this.#hooks]) {
      if (hook.command !== command || hook.when !== when) continue;
      if (hook.skip > 0) {
        hook.skip -= 1;
        continue;
      }
      this.#hooks.splice(this.#hooks.indexOf(hook), 1);
      await hook.act().catch((error: unknown) => {
        this.cut(); // a test whose hook fails must not wait for the saga
        throw error;
      });
    }
  }
}

function idOf(message: Json): Json {
  return typeof message === 'object' && message !== null && 'id' in message ? (message.id ?? null) : null;
}
