import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeMessages, MessageDecoder } from '../src/qmp/codec.ts';
import type { Json } from '../src/qmp/transport.ts';
import { often } from '../test/tiers/tier.ts';

/** Any JSON that QMP may carry: with line separators, any Unicode, and integers of 64 bits. */
const message: fc.Arbitrary<Json> = fc.letrec<{ json: Json }>(tie => ({
  json: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter(value => !Number.isInteger(value)),
    fc.string({
      unit: fc.constantFrom('\u2028', '\u2029', '\r', '\n', '"', '\\', 'é', '\u{1f600}', 'a', '0'),
    }),
    fc.string({ unit: 'binary' }).filter(text => text.isWellFormed()),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(fc.string({ maxLength: 5 }), tie('json'), { maxKeys: 4 }),
  ),
})).json;

/** Cuts bytes into pieces at any places, also within a character. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [0, ...places.map(place => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

describe('the codec', () => {
  test('gives back the messages that were written, however the bytes are cut and the lines are ended', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        fc.constantFrom('\n', '\r\n', '\r\n\r\n', ' \n'),
        (messages, places, ending) => {
          const text = messages.map(each => encodeMessages([each]).replace(/\n$/, ending)).join('');
          const decoder = new MessageDecoder();
          const got = cut(Buffer.from(text), places).flatMap(piece => decoder.push(piece));
          expect(got).toEqual(messages);
        },
      ),
      { numRuns: often(500, 2_000) },
    );
  });

  test('one byte at a time is no different', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 3 }), messages => {
        const decoder = new MessageDecoder();
        const got = [...Buffer.from(encodeMessages(messages))].flatMap(byte =>
          decoder.push(Uint8Array.of(byte)),
        );
        expect(got).toEqual(messages);
      }),
    );
  });

  test('a message holds no line feed of its own', () => {
    fc.assert(
      fc.property(message, each => {
        expect(encodeMessages([each]).indexOf('\n')).toBe(encodeMessages([each]).length - 1);
      }),
    );
  });
});
