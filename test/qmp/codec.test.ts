import { describe, expect, test } from 'vitest';
import { encodeMessages, MessageDecoder } from '../../src/qmp/codec.ts';

const decode = (text: string) => new MessageDecoder().push(Buffer.from(text));

describe('decoding', () => {
  test.each([
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['9007199254740993', 9007199254740993n],
    ['-9007199254740993', -9007199254740993n],
    ['18446744073709551615', 18446744073709551615n],
    ['1.00000000000000000001', 1],
    ['1e30', 1e30],
    ['"1234567890123456789"', '1234567890123456789'],
  ])('%s keeps its exact value', (text, value) => {
    expect(decode(`{"n": ${text}}\n`)).toEqual([{ n: value }]);
  });

  test('line separators that are no line feeds do not end a message', () => {
    expect(decode('{"a": "\u2028\u2029\u0085"}\n')).toEqual([{ a: '\u2028\u2029\u0085' }]);
  });

  test('blank lines and carriage returns are nothing', () => {
    expect(decode('\r\n\n  \n{"a": 1}\r\n\r\n')).toEqual([{ a: 1 }]);
  });

  test.each(['{"a":}', 'hello', '{"a": 1} {"b": 2}', '['])('%s is refused as no JSON', text => {
    expect(() => decode(`${text}\n`)).toThrow(expect.objectContaining({ code: 'QMP_PROTOCOL' }));
  });

  test('a message may be as long as the limit and no longer, however it is cut', () => {
    const limited = (bytes: number) => {
      const decoder = new MessageDecoder(100);
      const text = Buffer.from(`"${'x'.repeat(bytes - 2)}"\n`);
      return [...decoder.push(text.subarray(0, 60)), ...decoder.push(text.subarray(60))];
    };
    expect(limited(100)).toHaveLength(1);
    expect(() => limited(101)).toThrow(expect.objectContaining({ code: 'QMP_PROTOCOL' }));
  });

  test('the limit is for each message, not for the stream', () => {
    const decoder = new MessageDecoder(10);
    expect(decoder.push(Buffer.from('{"a": 1}\n'.repeat(50)))).toHaveLength(50);
  });
});

test('encoding writes integers of any size exactly, each message on its line', () => {
  expect(encodeMessages([{ a: [18446744073709551615n, -1n] }, { b: 1 }])).toBe(
    '{"a":[18446744073709551615,-1]}\n{"b":1}\n',
  );
});
