/**
 * Bytes to JSON messages and back. Frames at the byte 0x0A and nowhere else (text tools also split at U+2028, which
 * JSON may hold), keeps integers past 2^53 exact, and knows nothing of what the messages mean.
 */

import { BlocksagaError } from '../errors.ts';
import type { Json } from './transport.ts';

/** QEMU's own limit for the text of one message (qobject/json-streamer.c). */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

const LINE_FEED = 0x0a;

/** A shorter run of digits fits a double exactly. */
const MAY_PASS_2_53 = /\d{16}/;

/**
 * Takes bytes as they come, cut anywhere, and gives back the messages that they complete.
 *
 * @example
 * ```ts
 * const decoder = new MessageDecoder();
 * decoder.push(Buffer.from('{"return": {}}\r\n{"ev')); // [{ return: {} }]
 * ```
 */
export class MessageDecoder {
  readonly #lines: LineDecoder;

  constructor(maxMessageBytes = MESSAGE_BYTES_MAX) {
    this.#lines = new LineDecoder(maxMessageBytes);
  }

  /** Throws QMP_PROTOCOL for what is no JSON and for a message too long; the decoder is of no use afterwards. */
  push(chunk: Uint8Array): Json[] {
    return this.#lines.push(chunk).map(parseJson);
  }
}

/** The framing alone: lines that are not blank, trimmed. */
export class LineDecoder {
  readonly #maxBytes: number;
  /** The start of a line whose end has not come. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;

  constructor(maxLineBytes = MESSAGE_BYTES_MAX) {
    this.#maxBytes = maxLineBytes;
  }

  /** Throws QMP_PROTOCOL for a line too long. */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      this.#keep(chunk.subarray(start, end === -1 ? undefined : end));
      if (end === -1) return lines;
      const line = this.#takeLine();
      if (line !== '') lines.push(line);
      start = end + 1;
    }
  }

  #keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieceBytes += piece.length;
    if (this.#pieceBytes > this.#maxBytes)
      throw new BlocksagaError('QMP_PROTOCOL', `a message of more than ${this.#maxBytes} bytes was refused`);
    this.#pieces.push(piece);
  }

  #takeLine(): string {
    const line = Buffer.concat(this.#pieces, this.#pieceBytes).toString('utf8').trim();
    this.#pieces = [];
    this.#pieceBytes = 0;
    return line;
  }
}

/** Messages as one text, a line each. Integers of any size are written exactly. */
export function encodeMessages(messages: readonly Json[]): string {
  return messages.map(message => `${stringify(message)}\n`).join('');
}

type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;

/** One message. Throws QMP_PROTOCOL for what is no JSON. */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text, MAY_PASS_2_53.test(text) ? exactInteger : undefined);
  } catch (cause) {
    throw new BlocksagaError('QMP_PROTOCOL', `no JSON: ${excerpt(text)}`, { cause });
  }
}

const exactInteger: Reviver = (_key, value, context) => {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context?.source !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
};

/** ES2025, which Node 22 has and TypeScript's es2024 library does not. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

function stringify(message: Json): string {
  if (!holdsBigint(message)) return JSON.stringify(message);
  return JSON.stringify(message, (_key, value: unknown) =>
    typeof value === 'bigint' ? rawJSON(value.toString()) : value,
  );
}

function holdsBigint(value: Json | undefined): boolean {
  if (typeof value === 'bigint') return true;
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some(holdsBigint);
}

function excerpt(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
