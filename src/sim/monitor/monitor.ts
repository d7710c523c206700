/**
 * QMP on the wire, without the wire: greeting, negotiation, one command at a time, replies and events in order. A monitor
 * serves one client; the next one waits for its greeting until the first is gone, as with a real socket.
 */

import type { Clock } from '../../qmp/clock.ts';
import type { Json, Transport, TransportHandlers } from '../../qmp/transport.ts';
import type { VirtualClock } from '../host/virtual-clock.ts';
import type { Arguments } from '../state/arguments.ts';
import type { Refusal } from '../state/refusal.ts';

/** What came of a command: the members of its reply, or what happens instead of one. */
export type Answer =
  | { readonly kind: 'reply'; readonly body: { readonly [key: string]: Json }; readonly delayMs: number }
  | { readonly kind: 'none' }
  | { readonly kind: 'cut' };

export interface MonitorOptions {
  readonly clock: VirtualClock;
  readonly greeting: Json;
  /** How long QEMU takes for a command, before its reply. */
  readonly durationMs: (command: string, args: Arguments) => number;
  readonly execute: (command: string, args: Arguments) => Answer;
  /** Why QEMU does not negotiate with these arguments; undefined where it does. */
  readonly whyNotNegotiated: (args: Arguments) => Refusal | undefined;
  /** Why QEMU carries out nothing of this name out of band. */
  readonly whyNotOutOfBand: (command: string) => Refusal;
}

/** A connection that a server of bytes may use too: it answers in their turn messages that cannot be read. */
export interface MonitorTransport extends Transport {
  /** `text`: what QEMU says of one. */
  sendUnreadable(text: string): void;
}

/** Refused by QEMU before it is a message. */
class Unreadable {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export interface Monitor {
  attach(handlers: TransportHandlers): MonitorTransport;
  /** Sends an event to the client that has negotiated, if there is one. */
  event(message: Json): void;
  /** Ends all connections, when the process is gone. */
  shut(reason: Error | undefined): void;
}

interface Connection {
  readonly handlers: TransportHandlers;
  readonly queue: (Json | Unreadable)[];
  open: boolean;
  negotiated: boolean;
  /** Whether commands may be asked for out of band. */
  oob: boolean;
  busy: boolean;
  /** Nothing is delivered before this moment; set by a late reply. */
  heldUntilMs: number;
}

export function createMonitor(options: MonitorOptions): Monitor {
  const { clock } = options;
  const waiting: Connection[] = [];
  let current: Connection | undefined;

  function serveNext(): void {
    current = waiting.shift();
    if (current === undefined) return;
    deliver(current, options.greeting);
    pump(current);
  }

  function deliver(connection: Connection, message: Json): void {
    if (!connection.open) return;
    const holdMs = connection.heldUntilMs - clock.now();
    if (holdMs <= 0) {
      connection.handlers.onMessage(message);
      return;
    }
    clock.after(holdMs, () => {
      if (connection.open) connection.handlers.onMessage(message);
    });
  }

  function close(connection: Connection, reason: Error | undefined): void {
    if (!connection.open) return;
    connection.open = false;
    connection.queue.length = 0;
    if (current === connection) serveNext();
    else waiting.splice(waiting.indexOf(connection), 1);
    connection.handlers.onClose(reason);
  }

  function pump(connection: Connection): void {
    if (connection.busy || !connection.open || connection !== current) return;
    const message = connection.queue.shift();
    if (message === undefined) return;
    connection.busy = true;
    const takesMs =
      message instanceof Unreadable ? 0 : options.durationMs(commandOf(message), argumentsOf(message));
    clock.after(takesMs, () => {
      connection.busy = false;
      if (message instanceof Unreadable)
        deliver(connection, refusal(undefined, 'GenericError', message.text));
      else handle(connection, message);
      pump(connection);
    });
  }

  function handle(connection: Connection, message: Json): void {
    if (!connection.open) return;
    const fault = malformed(message, connection.oob);
    if (fault !== undefined) {
      deliver(connection, refusal(idOf(message), 'GenericError', fault));
      return;
    }
    const { id, arguments: given, 'exec-oob': outOfBand } = message as Request;
    const execute = commandOf(message);
    if (outOfBand !== undefined) {
      const { class: errorClass, desc } = options.whyNotOutOfBand(String(outOfBand));
      deliver(connection, refusal(id, errorClass, desc));
      return;
    }
    if (execute === 'qmp_capabilities' || !connection.negotiated) {
      deliver(connection, negotiate(connection, execute, message as Request));
      return;
    }
    const answer = options.execute(execute, given ?? {});
    if (answer.kind === 'cut') {
      close(connection, new Error('the connection to QEMU broke'));
      return;
    }
    if (answer.kind === 'none') return;
    if (answer.delayMs > 0)
      connection.heldUntilMs = Math.max(connection.heldUntilMs, clock.now() + answer.delayMs);
    const { body } = answer;
    if (id === undefined) deliver(connection, body);
    else deliver(connection, 'error' in body ? { id, ...body } : { ...body, id });
  }

  function negotiate(connection: Connection, execute: string, { id, arguments: given }: Request): Json {
    if (execute !== 'qmp_capabilities')
      return refusal(id, 'CommandNotFound', "Expecting capabilities negotiation with 'qmp_capabilities'");
    if (connection.negotiated)
      return refusal(id, 'CommandNotFound', 'Capabilities negotiation is already complete, command ignored');
    const why = options.whyNotNegotiated(given ?? {});
    if (why !== undefined) return refusal(id, why.class, why.desc);
    connection.negotiated = true;
    connection.oob = given?.['enable'] !== undefined && (given['enable'] as readonly Json[]).includes('oob');
    return id === undefined ? { return: {} } : { return: {}, id };
  }

  function send(connection: Connection, messages: readonly (Json | Unreadable)[]): void {
    if (!connection.open) return;
    connection.queue.push(...messages);
    pump(connection);
  }

  return {
    attach(handlers) {
      const connection: Connection = {
        handlers,
        queue: [],
        open: true,
        negotiated: false,
        oob: false,
        busy: false,
        heldUntilMs: 0,
      };
      waiting.push(connection);
      if (current === undefined) clock.after(0, () => current === undefined && serveNext());
      return {
        send: messages => send(connection, messages),
        sendUnreadable: text => send(connection, [new Unreadable(text)]),
        close() {
          if (!connection.open) return;
          clock.unawaited(() => close(connection, undefined));
        },
      };
    },
    event(message) {
      if (current?.negotiated === true) deliver(current, message);
    },
    shut(reason) {
      for (const connection of [...waiting]) close(connection, reason);
      while (current !== undefined) close(current, reason);
    },
  };
}

interface Request {
  readonly execute?: Json;
  readonly 'exec-oob'?: Json;
  readonly id?: Json;
  readonly arguments?: Arguments;
}

function commandOf(message: Json): string {
  const execute = (message as Request | null)?.execute;
  return typeof execute === 'string' ? execute : '';
}

function argumentsOf(message: Json): Arguments {
  const { arguments: given } = (message ?? {}) as Request;
  return given ?? {};
}

function idOf(message: Json): Json | undefined {
  return message !== null && typeof message === 'object' && !Array.isArray(message)
    ? (message as Request).id
    : undefined;
}

/** The member checks of QEMU's dispatcher (qapi/qmp-dispatch.c). */
function malformed(message: Json, allowsOob: boolean): string | undefined {
  if (message === null || typeof message !== 'object' || Array.isArray(message)) {
    return 'QMP input must be a JSON object';
  }
  const object = message as { readonly [key: string]: Json };
  const runs = (name: string) => name === 'execute' || (name === 'exec-oob' && allowsOob);
  for (const name in object) {
    const value = object[name] as Json;
    if (runs(name)) {
      if (typeof value !== 'string') return `QMP input member '${name}' must be a string`;
    } else if (name === 'arguments') {
      if (value === null || typeof value !== 'object' || Array.isArray(value)) {
        return "QMP input member 'arguments' must be an object";
      }
    } else if (name !== 'id') {
      return `QMP input member '${name}' is unexpected`;
    }
  }
  const asked = Object.keys(object).filter(runs).length;
  if (asked > 1) return "QMP input member 'execute' clashes with 'exec-oob'";
  return asked === 0 ? "QMP input lacks member 'execute'" : undefined;
}

function refusal(id: Json | undefined, errorClass: string, desc: string): Json {
  const error = { class: errorClass, desc };
  return id === undefined ? { error } : { id, error };
}

/** When an event happened, as QEMU writes it. */
export function timestampOf(clock: Clock): Json {
  const microseconds = Math.round((clock.epochMs() % 1000) * 1000) % 1_000_000;
  return { seconds: Math.floor(clock.epochMs() / 1000), microseconds };
}
