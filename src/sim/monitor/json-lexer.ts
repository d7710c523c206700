/**
 * Cuts the bytes of a QMP client into the tokens that QEMU's monitor sees (qobject/json-lexer.c): JSON, with single-quoted strings
 * too. Behind bytes that are no token it goes on at the next bracket, colon, comma or end of a line.
 */

/** `text` has a character for each byte; lines and columns are counted from 1. */
export interface Token {
  readonly type: Structure | 'string' | 'integer' | 'float' | 'keyword' | 'error';
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

type Structure = '{' | '}' | '[' | ']' | ':' | ',';

/** What has been read of a token; `closed`: all of a string. */
type Within = keyof typeof MAY_END | keyof typeof MUST_GO_ON;

/** Where a token may end, and which it is then. */
const MAY_END = {
  closed: 'string',
  zero: 'integer',
  integer: 'integer',
  fraction: 'float',
  power: 'float',
  keyword: 'keyword',
} as const;

const MUST_GO_ON = {
  inDouble: true,
  escapedInDouble: true,
  inSingle: true,
  escapedInSingle: true,
  minus: true,
  point: true,
  exponent: true,
  sign: true,
} as const;

const DIGIT = /[0-9]/;
const NONZERO = /[1-9]/;
const LETTER = /[a-z]/;
const IN_STRING = /[ -\xfd]/;
const EXPONENT = /[eE]/;
const SIGN = /[-+]/;

type Rule = readonly [characters: RegExp, to: Within];

const POWER: readonly Rule[] = [[DIGIT, 'power']];

/** By what each goes on, the first that fits. */
const RULES: Readonly<Record<Within | 'start', readonly Rule[]>> = {
  start: [
    [/"/, 'inDouble'],
    [/'/, 'inSingle'],
    [/-/, 'minus'],
    [/0/, 'zero'],
    [NONZERO, 'integer'],
    [LETTER, 'keyword'],
  ],
  inDouble: [
    [/"/, 'closed'],
    [/\\/, 'escapedInDouble'],
    [IN_STRING, 'inDouble'],
  ],
  escapedInDouble: [[IN_STRING, 'inDouble']],
  inSingle: [
    [/'/, 'closed'],
    [/\\/, 'escapedInSingle'],
    [IN_STRING, 'inSingle'],
  ],
  escapedInSingle: [[IN_STRING, 'inSingle']],
  closed: [],
  minus: [
    [/0/, 'zero'],
    [NONZERO, 'integer'],
  ],
  zero: [[/\./, 'point']],
  integer: [
    [DIGIT, 'integer'],
    [EXPONENT, 'exponent'],
    [/\./, 'point'],
  ],
  point: [[DIGIT, 'fraction']],
  fraction: [
    [DIGIT, 'fraction'],
    [EXPONENT, 'exponent'],
  ],
  exponent: [[SIGN, 'sign'], ...POWER],
  sign: POWER,
  power: POWER,
  keyword: [[LETTER, 'keyword']],
};

const STRUCTURE: ReadonlySet<string> = new Set('{}[]:,');
const WHITE: ReadonlySet<string> = new Set(' \t\r\n');
/** After an error these are heard again: besides structure, what is never within a token. */
const endsError = (character: string) => (character < ' ' && character !== '\t') || character > '\xfd';

export class JsonLexer {
  #state: Within | 'start' | 'error' = 'start';
  #text = '';
  #line = 1;
  #column = 0;
  #began = { line: 1, column: 0 };

  /** The token or the two that this byte ends. */
  push(character: string): readonly Token[] {
    this.#column += 1;
    if (character === '\n') {
      this.#line += 1;
      this.#column = 0;
    }
    if (this.#state === 'error') {
      if (!STRUCTURE.has(character) && !endsError(character)) return [];
      this.#state = 'start';
      return this.#begin(character, this.#column + 1);
    }
    if (this.#state === 'start') return this.#begin(character, this.#column);
    return this.#goOn(this.#state, character);
  }

  /** A byte that is looked at twice, behind an error or what only it ends, is counted twice by QEMU. */
  #begin(character: string, column: number): readonly Token[] {
    if (WHITE.has(character)) return [];
    this.#began = { line: this.#line, column };
    this.#text = character;
    if (isStructure(character)) return [this.#end(character)];
    return this.#step('start', character);
  }

  #goOn(state: Within, character: string): readonly Token[] {
    const ended = state in MAY_END ? MAY_END[state as keyof typeof MAY_END] : undefined;
    const isWrongZero = state === 'zero' && DIGIT.test(character);
    if (ended !== undefined && !isWrongZero && nextOf(state, character) === undefined) {
      return [this.#end(ended), ...this.#begin(character, this.#column + 1)];
    }
    this.#text += character;
    return this.#step(state, character);
  }

  #step(state: Within | 'start', character: string): readonly Token[] {
    const next = nextOf(state, character);
    if (next === undefined) {
      const error = this.#end('error');
      this.#state = 'error';
      return [error];
    }
    if (next === 'closed') return [this.#end('string')];
    this.#state = next;
    return [];
  }

  #end(type: Token['type']): Token {
    this.#state = 'start';
    return { type, text: this.#text, ...this.#began };
  }
}

function nextOf(state: Within | 'start', character: string): Within | undefined {
  return RULES[state].find(([characters]) => characters.test(character))?.[1];
}

function isStructure(character: string): character is Structure {
  return STRUCTURE.has(character);
}
