/**
 * A QMP server without a QEMU, over the production `Transport` port. What it answers is the test's script; by itself it
 * greets, negotiates and answers nothing. Faults a test may inject: silence, refusals, any message at any time, an end of
 * the connection, no greeting.
 */

import type { Connect, Json, TransportHandlers } from '../../src/qmp/transport.ts';

export const GREETING = {
  QMP: { version: { qemu: { major: 7, minor: 2, micro: 22 }, package: 'test' }, capabilities: ['oob'] },
};

/** A server that serves another client says nothing. */
export const NO_GREETING = Symbol('no greeting');

/** One command as it arrived. */
export interface Sent {
  readonly execute: string;
  readonly arguments?: { readonly [key: string]: Json };
  readonly id: number;
}

/** Returns the value to answer with, a refusal, or undefined to stay silent. */
export type Script = (command: Sent, fake: FakeQemu) => Json | Refusal | undefined;

export class Refusal {
  readonly class: string;
  readonly desc: string;

  constructor(desc: string, errorClass = 'GenericError') {
    this.class = errorClass;
    this.desc = desc;
  }
}

export class FakeQemu {
  /** All commands but qmp_capabilities, in order of arrival. */
  readonly sent: Sent[] = [];
  /** With which arguments each negotiation came. */
  readonly negotiated: Json[] = [];
  /** How many commands each write held. */
  readonly writes: number[] = [];
  readonly #script: Script;
  readonly #greeting: Json | typeof NO_GREETING;
  #handlers: TransportHandlers | undefined;

  constructor(script: Script = () => undefined, greeting: Json | typeof NO_GREETING = GREETING) {
    this.#script = script;
    this.#greeting = greeting;
  }

  readonly connect: Connect = async handlers => {
    this.#handlers = handlers;
    if (this.#greeting !== NO_GREETING) this.say(this.#greeting);
    return {
      send: messages => {
        this.writes.push(messages.length);
        for (const message of messages as unknown as readonly Sent[]) this.#receive(message);
      },
      close: () => this.end(),
    };
  };

  /** Sends any message, a moment later. */
  say(message: Json): void {
    queueMicrotask(() => this.#handlers?.onMessage(message));
  }

  event(event: string, data: Json = {}): void {
    this.say({ event, data, timestamp: { seconds: 1, microseconds: 2 } });
  }

  /** Ends the connection, once. */
  end(reason?: Error): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    queueMicrotask(() => handlers?.onClose(reason));
  }

  #receive(command: Sent): void {
    const negotiates = command.execute === 'qmp_capabilities';
    if (negotiates) this.negotiated.push(command.arguments ?? {});
    else this.sent.push(command);
    const answer = negotiates ? {} : this.#script(command, this);
    if (answer instanceof Refusal)
      this.say({ id: command.id, error: { class: answer.class, desc: answer.desc } });
    else if (answer !== undefined) this.say({ return: answer, id: command.id });
  }
}
