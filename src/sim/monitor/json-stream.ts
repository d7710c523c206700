/**
 * Cuts a stream of bytes into JSON values the way QEMU's monitor does (qobject/json-streamer.c): by brackets, so neither a line
 * feed nor any other separator is needed. What is no JSON is reported and skipped, the stream stays usable.
 */

import type { JsonTexts } from '../state/texts.ts';
import { JsonLexer, type Token } from './json-lexer.ts';
import { jsonError, type Parsed, parseTokens } from './json-parser.ts';

const NESTING_MAX = 1024;
const TOKENS_MAX = 2 * 1024 * 1024;
const TEXT_MAX = 64 * 1024 * 1024;

export class JsonStream {
  readonly #texts: JsonTexts;
  readonly #lexer = new JsonLexer();
  #tokens: Token[] = [];
  #bytes = 0;
  #braces = 0;
  #brackets = 0;
  /** Passes over what is left of a message that was refused. */
  #isPassing = false;

  constructor(texts: JsonTexts) {
    this.#texts = texts;
  }

  /** The values that these bytes complete. */
  push(bytes: Buffer): readonly Parsed[] {
    const parsed: Parsed[] = [];
    for (const character of bytes.toString('latin1')) {
      for (const token of this.#lexer.push(character)) {
        const told = this.#take(token);
        if (told !== undefined) parsed.push(told);
      }
    }
    return parsed;
  }

  #take(token: Token): Parsed | undefined {
    if (token.type === 'error') {
      const stray = Buffer.from(token.text, 'latin1').toString('utf8');
      return this.#reset({ ok: false, text: jsonError(this.#texts, token, `stray '${stray}'`) });
    }
    if (token.type === '{') this.#braces += 1;
    if (token.type === '}') this.#braces -= 1;
    if (token.type === '[') this.#brackets += 1;
    if (token.type === ']') this.#brackets -= 1;
    const isOpen = this.#braces >= 0 && this.#brackets >= 0 && this.#braces + this.#brackets > 0;
    if (this.#isPassing) {
      if (!isOpen) this.#reset(undefined);
      return undefined;
    }
    this.#bytes += token.text.length;
    this.#tokens.push(token);
    const tooMuch = this.#tooMuch();
    if (tooMuch !== undefined) return this.#refuse(tooMuch);
    return isOpen ? undefined : this.#reset(parseTokens(this.#tokens, this.#texts));
  }

  #tooMuch(): string | undefined {
    if (this.#bytes > TEXT_MAX) return 'JSON token size limit exceeded';
    if (this.#tokens.length > TOKENS_MAX) return 'JSON token count limit exceeded';
    if (this.#braces + this.#brackets > NESTING_MAX) return 'JSON nesting depth limit exceeded';
    return undefined;
  }

  #refuse(text: string): Parsed {
    if (!this.#texts.isPlaced) return this.#reset({ ok: false, text });
    this.#isPassing = true;
    this.#tokens = [];
    return { ok: false, text };
  }

  #reset<T>(told: T): T {
    this.#tokens = [];
    this.#bytes = 0;
    this.#braces = 0;
    this.#brackets = 0;
    this.#isPassing = false;
    return told;
  }
}
