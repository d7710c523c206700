/** QMP over a stream of bytes that is up: framing, limits, and an end that is told exactly once, whatever the stream does. */
import type { Duplex } from 'node:stream';
import { BlocksagaError } from '../errors.ts';
import type { Clock } from './clock.ts';
import { encodeMessages, MessageDecoder } from './codec.ts';
import { startPatience } from './patience.ts';
import type { Transport, TransportHandlers } from './transport.ts';

/** What was sent just before closing still gets this long to leave. */
const CLOSE_GRACE_MS = 5_000;

export class StreamTransport implements Transport {
  readonly #stream: Duplex;
  readonly #handlers: TransportHandlers;
  readonly #clock: Clock;
  #closing = false;
  #isClosed = false;
  #reason: Error | undefined;
  #cancelGrace = () => {};

  constructor(stream: Duplex, handlers: TransportHandlers, clock: Clock, maxMessageBytes: number) {
    this.#stream = stream;
    this.#handlers = handlers;
    this.#clock = clock;
    const decoder = new MessageDecoder(maxMessageBytes);
    stream.on('error', error => {
      this.#reason ??= new BlocksagaError(
        'QMP_DISCONNECTED',
        `the connection to QEMU broke: ${error.message}`,
        { cause: error },
      );
      // Not every stream closes by itself behind an error.
      this.#end();
    });
    stream.on('close', () => this.#closed());
    // One that may be half open stays so until this side ends, too.
    stream.on('end', () => this.close());
    stream.on('data', (chunk: unknown) => {
      if (this.#isClosed || this.#reason !== undefined) return;
      handlers.onSign?.();
      try {
        for (const message of decoder.push(bytesOf(chunk))) handlers.onMessage(message);
      } catch (error) {
        // Nothing is thrown out of a stream's handler: it would end a process that has other sagas.
        this.#reason ??=
          error instanceof BlocksagaError
            ? error
            : new BlocksagaError('QMP_PROTOCOL', `a message from QEMU cannot be read: ${error}`, {
                cause: error,
              });
        this.#end();
      }
    });
  }

  send(messages: Parameters<Transport['send']>[0]): void {
    if (this.#closing || !this.#stream.writable) return;
    if (!isTls(this.#stream)) this.#stream.write(encodeMessages(messages));
    else this.#stream.write(encodeMessages(messages), () => this.#nudge());
  }

  /**
   * QEMU before 8.0 leaves what a TLS record has brought in its buffer until another one arrives (io/channel-tls.c): an empty line
   * is one, and no message.
   */
  #nudge(): void {
    if (!this.#closing && this.#stream.writable) this.#stream.write('\n');
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    const { cancel } = startPatience({ clock: this.#clock, deadlineMs: CLOSE_GRACE_MS }, () => this.#end());
    this.#cancelGrace = cancel;
    if (this.#stream.writable) this.#stream.end();
    if (this.#stream.writableFinished || this.#stream.destroyed) this.#stream.destroy();
    else this.#stream.once('finish', () => this.#stream.destroy());
  }

  /** At once; a stream that does not say that it has closed is not waited for. */
  #end(): void {
    this.#closing = true;
    this.#stream.destroy();
    queueMicrotask(() => process.nextTick(() => this.#closed()));
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closing = true;
    this.#cancelGrace();
    this.#handlers.onClose(this.#reason);
  }
}

function isTls(stream: Duplex): boolean {
  return 'encrypted' in stream && stream.encrypted === true;
}

/** A stream with an encoding gives text, one of objects anything. */
function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === 'string') return Buffer.from(chunk);
  throw new BlocksagaError('QMP_PROTOCOL', `a stream of ${typeof chunk}s, not of bytes, was refused`);
}
