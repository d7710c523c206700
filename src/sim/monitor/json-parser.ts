/**
 * Makes a value of tokens as QEMU's monitor does (qobject/json-parser.c): a member that is given twice is an error, strings are
 * UTF-8 whose characters are assigned, and the first error of a message is told.
 */
import { isUtf8 } from 'node:buffer';
import type { Json } from '../../qmp/transport.ts';
import type { JsonTexts } from '../state/texts.ts';
import type { Token } from './json-lexer.ts';

export type Parsed =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly text: string };

class Unexpected extends Error {}

/** `text` as QEMU tells of it, at this token. */
export function jsonError(texts: JsonTexts, { line, column }: Token, text: string): string {
  return `${texts.isPlaced ? `${line}:${column}: ` : ''}JSON parse error, ${text}`;
}

export function parseTokens(tokens: readonly Token[], texts: JsonTexts): Parsed {
  try {
    return { ok: true, value: new Parser(tokens, texts).value() };
  } catch (error) {
    if (!(error instanceof Unexpected)) throw error;
    return { ok: false, text: error.message };
  }
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #texts: JsonTexts;
  #at = 0;

  constructor(tokens: readonly Token[], texts: JsonTexts) {
    this.#tokens = tokens;
    this.#texts = texts;
  }

  value(): Json {
    const token = this.#take();
    switch (token.type) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case 'string':
        return this.#string(token);
      case 'integer':
        return integerOf(token.text);
      case 'float':
        return Number(token.text);
      case 'keyword':
        if (token.text === 'true') return true;
        if (token.text === 'false') return false;
        if (token.text === 'null') return null;
        return this.#fail(token, `invalid keyword '${token.text}'`);
      default:
        return this.#fail(token, 'expecting value');
    }
  }

  #object(): Json {
    const members = new Map<string, Json>();
    if (this.#isNext('}')) return {};
    for (;;) {
      const key = this.#key();
      const colon = this.#take();
      if (colon.type !== ':') this.#fail(colon, this.#texts.colon);
      const value = this.value();
      if (members.has(key)) this.#fail(this.#tokens[this.#at - 1] ?? colon, 'duplicate key');
      members.set(key, value);
      if (this.#isNext('}')) return Object.fromEntries(members);
      const separator = this.#take();
      if (separator.type !== ',') this.#fail(separator, this.#texts.inObject);
    }
  }

  /** Older versions read a value there, whatever it is. */
  #key(): string {
    const first = this.#peek();
    if (first.type !== 'string' && this.#texts.isPlaced) this.#fail(first, this.#texts.key);
    const key = this.value();
    return typeof key === 'string' ? key : this.#fail(first, this.#texts.key);
  }

  #array(): Json {
    const items: Json[] = [];
    if (this.#isNext(']')) return items;
    for (;;) {
      items.push(this.value());
      if (this.#isNext(']')) return items;
      const separator = this.#take();
      if (separator.type !== ',') this.#fail(separator, this.#texts.inArray);
    }
  }

  #string(token: Token): string {
    const read = readString(token.text);
    return typeof read === 'string' ? read : this.#fail(token, read.wrong);
  }

  #isNext(type: Token['type']): boolean {
    if (this.#peek().type !== type) return false;
    this.#at += 1;
    return true;
  }

  #take(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }

  #peek(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new Unexpected('JSON parse error, premature EOI');
    return token;
  }

  #fail(token: Token, text: string): never {
    throw new Unexpected(jsonError(this.#texts, token, text));
  }
}

const INTEGER_MAX = 2n ** 64n - 1n;
const INTEGER_MIN = -(2n ** 63n);

/** Exact where QEMU has an integer for it; a float beyond. */
function integerOf(text: string): Json {
  const exact = BigInt(text);
  if (exact < INTEGER_MIN || exact > INTEGER_MAX) return Number(text);
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
}

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ '"': '"', "'": "'", '\\': '\\', '/': '/' },
  ...{ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' },
};
const HEX = /^[0-9a-fA-F]{4}$/;

interface Wrong {
  readonly wrong: string;
}

/** The string in these quotes, whose text has a character for each byte. */
function readString(quoted: string): string | Wrong {
  const end = quoted.length - 1;
  let read = '';
  let at = 1;
  while (at < end) {
    const backslash = quoted.indexOf('\\', at);
    const plain = quoted.slice(at, backslash === -1 ? end : backslash);
    const decoded = decodeUtf8(plain);
    if (decoded === undefined) return { wrong: 'invalid UTF-8 sequence in string' };
    read += decoded;
    at += plain.length;
    if (at >= end) break;
    const sort = quoted.charAt(at + 1);
    if (sort === 'u') {
      const { code, length } = readCode(quoted, at);
      if (code === undefined || !isAssignable(code))
        return { wrong: `${quoted.slice(at, at + length)} is not a valid Unicode character` };
      read += String.fromCodePoint(code);
      at += length;
    } else {
      const character = ESCAPES[sort];
      if (character === undefined) return { wrong: 'invalid escape sequence in string' };
      read += character;
      at += 2;
    }
  }
  return read;
}

/** The code of the `\uXXXX` at this place, or of a surrogate pair. */
function readCode(text: string, at: number): { readonly code: number | undefined; readonly length: number } {
  const high = hexAt(text, at + 2);
  const isPair = high !== undefined && high >= 0xd800 && high <= 0xdbff && text.startsWith('\\u', at + 6);
  if (!isPair) return { code: high, length: 6 };
  const low = hexAt(text, at + 8);
  if (low === undefined || low < 0xdc00 || low > 0xdfff) return { code: undefined, length: 6 };
  return { code: 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff), length: 12 };
}

function hexAt(text: string, at: number): number | undefined {
  const digits = text.slice(at, at + 4);
  return HEX.test(digits) ? Number.parseInt(digits, 16) : undefined;
}

/** Modified UTF-8 (util/unicode.c): a zero is two bytes; no surrogates, and nothing that is no character for good. */
function decodeUtf8(bytes: string): string | undefined {
  const parts = bytes.split('\xc0\x80').map(part => {
    const raw = Buffer.from(part, 'latin1');
    return isUtf8(raw) ? raw.toString('utf8') : undefined;
  });
  if (parts.includes(undefined)) return undefined;
  const text = parts.join('\0');
  return Array.from(text).every(character => isAssignable(character.codePointAt(0) ?? 0)) ? text : undefined;
}

function isAssignable(code: number): boolean {
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  const isNoCharacter = (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe;
  return !isSurrogate && !isNoCharacter;
}
