/**
 * Cuts a stream of text into JSON values the way QEMU's monitor does: by brackets, so neither a line feed nor any other
 * separator is needed. What is no JSON is reported and skipped, the stream stays usable.
 */

import { parseJson } from '../../qmp/codec.ts';
import type { Json } from '../../qmp/transport.ts';

export type Piece =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly text: string };

const NESTING_MAX = 1024;
const TEXT_MAX = 64 * 1024 * 1024;

export class JsonStream {
  #text = '';
  #scanned = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** The values that this piece of text completes. */
  push(chunk: string): Piece[] {
    this.#text += chunk;
    const pieces: Piece[] = [];
    for (; this.#scanned < this.#text.length; this.#scanned += 1) {
      if (this.#step(this.#text.charAt(this.#scanned))) {
        pieces.push(decode(this.#text.slice(0, this.#scanned + 1)));
        this.#text = this.#text.slice(this.#scanned + 1);
        this.#scanned = -1;
      }
    }
    if (this.#text.length > TEXT_MAX || this.#depth > NESTING_MAX) {
      pieces.push({ ok: false, text: 'JSON token size limit exceeded' });
      this.#reset();
    }
    return pieces;
  }

  /** Takes one character; true when it completes a value. */
  #step(character: string): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (character === '\\') this.#escaped = true;
      else if (character === '"') this.#inString = false;
      return false;
    }
    switch (character) {
      case '"':
        this.#inString = true;
        return false;
      case '{':
      case '[':
        this.#depth += 1;
        return false;
      case '}':
      case ']':
        this.#depth -= 1;
        if (this.#depth > 0) return false;
        this.#depth = 0;
        return true;
      case '\n':
        return this.#depth === 0 && this.#text.slice(0, this.#scanned).trim() !== '';
      default:
        return false;
    }
  }

  #reset(): void {
    this.#text = '';
    this.#scanned = 0;
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
  }
}

function decode(text: string): Piece {
  try {
    return { ok: true, value: parseJson(text) };
  } catch {
    return { ok: false, text: 'JSON parse error, invalid keyword or expecting value' };
  }
}
