/**
 * Bytes to JSON messages and back. Frames at the byte 0x0A and nowhere else (text tools also split at U+2028, which
 * JSON may hold), keeps integers past 2^53 exact, and knows nothing of what the messages mean.
 */

import { isUtf8 } from 'node:buffer';
import { BlocksagaError } from '../errors.ts';
import type { Json } from './transport.ts';

/** QEMU's own limit for the text of one message (qobject/json-streamer.c). */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

/** Objects and lists within one another, as QEMU's own parser takes them (qobject/json-parser.c). */
export const DEPTH_MAX = 1024;

const LINE_FEED = 0x0a;
const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

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
    this.#lines = new LineDecoder(maxMessageBytes, true);
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
  readonly #isStrict: boolean;

  /** `isStrict`: what is no UTF-8 is refused; else it is shown as U+FFFD. */
  constructor(maxLineBytes = MESSAGE_BYTES_MAX, isStrict = false) {
    this.#maxBytes = maxLineBytes;
    this.#isStrict = isStrict;
  }

  /** Throws QMP_PROTOCOL for a line too long, and where it is strict for one that is no UTF-8. */
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
    const [first] = this.#pieces;
    const isWhole = first !== undefined && this.#pieces.length === 1;
    const bytes = isWhole
      ? Buffer.from(first.buffer, first.byteOffset, first.length)
      : Buffer.concat(this.#pieces, this.#pieceBytes);
    this.#pieces = [];
    this.#pieceBytes = 0;
    if (this.#isStrict && !isUtf8(bytes))
      throw new BlocksagaError('QMP_PROTOCOL', 'a message that is no UTF-8 was refused');
    return bytes.toString('utf8').trim();
  }
}

/** Messages as one text, a line each. Integers of any size are written exactly. */
export function encodeMessages(messages: readonly Json[]): string {
  return messages.map(message => `${stringify(message)}\n`).join('');
}

type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;

/** One message. Throws QMP_PROTOCOL for what is no JSON, and for what is nested deeper than QEMU itself would read. */
export function parseJson(text: string): Json {
  if (opensMore(text, DEPTH_MAX) && isTooDeep(text))
    throw new BlocksagaError('QMP_PROTOCOL', `a message nested more than ${DEPTH_MAX} deep was refused`);
  try {
    return JSON.parse(text, MAY_PASS_2_53.test(text) ? exactInteger : undefined);
  } catch (cause) {
    throw new BlocksagaError('QMP_PROTOCOL', `no JSON: ${excerpt(text)}`, { cause });
  }
}

/** Whether more is opened in it than that, were it all one in the other: nearly always not, and this is told fast. */
function opensMore(text: string, limit: number): boolean {
  if (text.length <= limit) return false;
  let left = limit;
  for (const opening of ['{', '[']) {
    for (let at = text.indexOf(opening); at !== -1; at = text.indexOf(opening, at + 1)) {
      left -= 1;
      if (left < 0) return true;
    }
  }
  return false;
}

/** Looked at before parsing: what walks through the value later has only so much stack. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (isInString) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) isInString = false;
    } else if (code === QUOTE) isInString = true;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth += 1;
      if (depth > DEPTH_MAX) return true;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1;
  }
  return false;
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
