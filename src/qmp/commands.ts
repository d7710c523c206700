/**
 * The types of what is sent to QEMU and of what comes back, over the generated schema. Types only.
 */

import type { BlocksagaError } from '../errors.ts';
import type { QmpCommands, QmpEvents } from './schema.generated.ts';

/** A QMP command that this client has types for. */
export type CommandName = keyof QmpCommands;

/** A QMP event that this client has types for. */
export type EventName = keyof QmpEvents;

/** What a command takes. */
export type Arguments<C extends CommandName> = QmpCommands[C]['arguments'];
/** Extends the arguments of every command that needs none. */
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
  /** After how long without a reply QEMU is asked whether that is lost, in milliseconds (see sounding.ts); never by default. */
  readonly soundAfterMs?: number;
  /**
   * Told of each reply as it comes, by its place among the commands: events that were handed out by then QEMU has sent before it. Not told
   * of commands that were not sent. One that throws crashes the process.
   */
  readonly onReply?: (place: number, reply: Reply) => void;
}

/** What a call of one command takes besides its name. */
export type CallRest<C extends CommandName> =
  NoMembers extends Arguments<C>
    ? [args?: Arguments<C>, options?: CallOptions]
    : [args: Arguments<C>, options?: CallOptions];
