/**
 * The port between the QMP client and whatever speaks QMP: a socket, or the simulator. It carries whole JSON messages,
 * in order, both ways; framing and encoding are the business of the socket adapter.
 */

/** A JSON value as QMP carries it; integers past 2^53 are `bigint`. */
export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** One connection to a QMP server. Messages arrive in the order in which they were sent. */
export interface Transport {
  /** Sends messages as one write; a closed transport ignores them (its closing has been reported). */
  send(messages: readonly Json[]): void;
  /** Closes from our side; `onClose` is still called, once. */
  close(): void;
}

/** What a transport calls. `onClose` comes exactly once and last; `reason` is undefined after an orderly end. */
export interface TransportHandlers {
  /** Something has arrived that may be no whole message yet: the other side is alive. Called before what it completes. */
  onSign?(): void;
  onMessage(message: Json): void;
  onClose(reason?: Error): void;
}

/** Opens one connection. Rejects with a `QMP_CONNECT` error; from then on only the handlers speak. */
export type Connect = (handlers: TransportHandlers) => Promise<Transport>;
