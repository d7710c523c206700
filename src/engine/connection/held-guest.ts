/**
 * Whether a guest is paused or frozen because of what a saga sent on its own connections. It reads the commands and
 * their answers, so it knows even where a step has got lost. It changes nothing of either.
 */
import { BlocksagaError } from '../../errors.ts';
import type { GuestAgent } from '../../qmp/guest-agent.ts';
import { isObject } from '../../qmp/messages.ts';
import type { Connect, Json, Transport } from '../../qmp/transport.ts';

export class HeldGuest {
  #isPaused = false;
  #isFrozen = false;
  /** The id of the last `cont`; its answer counts unless a `stop` went out behind it. */
  #resuming: Json | undefined;

  readonly #transports = new Set<Transport>();
  #isCut = false;

  /** From now on nothing goes out any more: all connections end, in one turn. */
  cut(): void {
    this.#isCut = true;
    for (const transport of this.#transports) transport.close();
    this.#transports.clear();
  }

  get isHeld(): boolean {
    return this.#isPaused || this.#isFrozen;
  }

  /** It was paused before this connection. */
  wasPaused(): void {
    this.#isPaused = true;
  }

  /** The same connection, looked at. */
  watch(connect: Connect): Connect {
    return async handlers => {
      let transport: Transport | undefined;
      transport = await connect({
        onSign: () => handlers.onSign?.(),
        onMessage: message => {
          if (this.#resuming !== undefined) this.#answered(message);
          handlers.onMessage(message);
        },
        onClose: reason => {
          if (transport !== undefined) this.#transports.delete(transport);
          handlers.onClose(reason);
        },
      });
      const opened = transport;
      this.#transports.add(opened);
      if (this.#isCut) this.cut();
      return {
        send: messages => {
          if (this.#isCut) return;
          for (const message of messages) this.#sent(message);
          opened.send(messages);
        },
        close: () => opened.close(),
      };
    };
  }

  /** The same way to the guest agent, looked at. */
  watchAgent(open: (address: string) => Promise<GuestAgent>): (address: string) => Promise<GuestAgent> {
    return async address => {
      const agent = await open(address);
      return {
        freeze: async deadlineMs => {
          if (this.#isCut) throw new BlocksagaError('QMP_CONNECT', 'this saga has left its guest');
          this.#isFrozen = true;
          return agent.freeze(deadlineMs);
        },
        thaw: async deadlineMs => {
          const count = await agent.thaw(deadlineMs);
          this.#isFrozen = false;
          return count;
        },
        status: () => agent.status(),
        close: () => agent.close(),
      };
    };
  }

  #sent(message: Json): void {
    if (!isObject(message)) return;
    if (message['execute'] === 'stop') {
      this.#isPaused = true;
      this.#resuming = undefined;
    } else if (message['execute'] === 'cont') {
      this.#resuming = message['id'];
    }
  }

  #answered(message: Json): void {
    if (!isObject(message) || message['id'] !== this.#resuming || message['return'] === undefined) return;
    this.#isPaused = false;
    this.#resuming = undefined;
  }
}
