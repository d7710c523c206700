/**
 * QMP over any two-way stream of bytes that a caller opens: a TLS socket, a channel of ssh, a program's standard input and output.
 * The framing, the limits and the closing are the same as over a socket of ours; who is at the other end is the caller's to check.
 */
import type { Duplex } from 'node:stream';
import { BlocksagaError } from '../errors.ts';
import { type Clock, systemClock } from './clock.ts';
import { MESSAGE_BYTES_MAX } from './codec.ts';
import { expectLimit } from './limits.ts';
import { startPatience } from './patience.ts';
import { StreamTransport } from './stream-transport.ts';
import type { Connect } from './transport.ts';

/** What {@link connectStream} may be told. */
export interface StreamOptions {
  /** How long opening may take, a TLS handshake included, in milliseconds (default 10,000). */
  readonly connectDeadlineMs?: number;
  /** The longest message that is accepted, in bytes (default 64 MiB, QEMU's own limit). */
  readonly maxMessageBytes?: number;
  readonly clock?: Clock;
}

const CONNECT_DEADLINE_MS = 10_000;

/**
 * How to reach a monitor through a stream. `open` is called for each connection: a saga connects again when its line breaks. A
 * stream by itself can be used once, and connecting again rejects. Connecting rejects with QMP_CONNECT when `open` throws, when the
 * stream ends before it is up, and when that takes too long; a `tls.TLSSocket` is up when its peer is verified. Throws
 * REQUEST_INVALID for limits that are none.
 *
 * @example
 * ```ts
 * const tls = await import('node:tls');
 * const { ca, cert, key } = { ca: 'PEM', cert: 'PEM', key: 'PEM' };
 * const monitor = connectStream(() => tls.connect({ host: 'host7', port: 4444, ca, cert, key }));
 * ```
 */
export function connectStream(
  open: Duplex | (() => Duplex | Promise<Duplex>),
  options: StreamOptions = {},
): Connect {
  const { connectDeadlineMs = CONNECT_DEADLINE_MS, maxMessageBytes = MESSAGE_BYTES_MAX } = options;
  const clock = options.clock ?? systemClock;
  expectLimit('connectDeadlineMs', connectDeadlineMs);
  expectLimit('maxMessageBytes', maxMessageBytes);
  let isUsed = false;
  return async handlers => {
    if (isUsed && typeof open !== 'function') throw usedUp();
    isUsed = true;
    const stream = await opened(open, clock, connectDeadlineMs);
    return new StreamTransport(stream, handlers, clock, maxMessageBytes);
  };
}

/** An open stream with none of our listeners left on it. Rejects with QMP_CONNECT. */
function opened(
  open: Duplex | (() => Duplex | Promise<Duplex>),
  clock: Clock,
  deadlineMs: number,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    let stream: Duplex | undefined;
    let isOver = false;
    const { cancel } = startPatience({ clock, deadlineMs }, () =>
      refuse(`was not up within ${deadlineMs} ms`),
    );
    const refuse = (why: string, cause?: unknown) => {
      if (isOver) return;
      isOver = true;
      cancel();
      stream?.destroy();
      reject(new BlocksagaError('QMP_CONNECT', `the stream to QEMU ${why}`, { cause }));
    };
    // Whatever it is that a caller's own function throws.
    const failed = (error: unknown) =>
      refuse(`could not be opened: ${error instanceof Error ? error.message : String(error)}`, error);
    const ended = () => refuse('ended before it was up');
    const up = (ready: Duplex) => {
      if (isOver) return;
      isOver = true;
      cancel();
      ready.off('close', ended);
      // Of a pause of milliseconds none is to be spent on waiting for more bytes.
      if ('setNoDelay' in ready && typeof ready.setNoDelay === 'function') ready.setNoDelay(true);
      resolve(ready);
      // What takes the stream over listens for errors in this same turn.
      queueMicrotask(() => ready.off('error', failed));
    };
    const given = (ready: Duplex) => {
      if (!isStream(ready)) return refuse('could not be opened: what opens it gave no stream');
      stream = ready;
      if (isOver) return void ready.destroy();
      if (ready.destroyed || !ready.writable || !ready.readable) return ended();
      ready.on('error', failed);
      ready.on('close', ended);
      const event = eventOfUp(ready);
      if (event === null) up(ready);
      else ready.once(event, () => up(ready));
    };
    Promise.resolve()
      .then(() => (typeof open === 'function' ? open() : open))
      .then(given)
      .catch(failed);
  });
}

/** What a stream that is not up yet emits when it is; null for one that can be written to. */
function eventOfUp(stream: Duplex): string | null {
  if ('secureConnecting' in stream && stream.secureConnecting === true) return 'secureConnect';
  if ('encrypted' in stream && 'connecting' in stream && stream.connecting === true) return 'secureConnect';
  return 'connecting' in stream && stream.connecting === true ? 'connect' : null;
}

function isStream(given: Duplex | undefined): boolean {
  return typeof given?.on === 'function' && typeof given.write === 'function';
}

function usedUp(): BlocksagaError {
  const why = 'this stream to QEMU has been used: give connectStream a function that opens another one';
  return new BlocksagaError('QMP_CONNECT', why, { retryable: false });
}
