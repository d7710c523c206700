import { describe, expect, it } from 'vitest';
import { decodeBody, encodeBody } from '../../src/journal/body.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { refused, thrownBy } from './contract.ts';

describe('a body as text', () => {
  it('counts bytes, not letters, against its limit', () => {
    const third = Math.floor((1024 * 1024 - 2) / 3);
    expect(Buffer.byteLength(encodeBody('€'.repeat(third)))).toBeLessThanOrEqual(1024 * 1024);
    expect(thrownBy(() => encodeBody('€'.repeat(third + 1)))).toEqual(refused('JOURNAL', /1048\d{3} bytes/));
    expect(thrownBy(() => encodeBody('\u0001'.repeat(300_000)))).toEqual(refused('JOURNAL'));
  });

  it('writes a bigint as the integer that it is', () => {
    expect(encodeBody({ a: [2n ** 64n, 1] })).toBe('{"a":[18446744073709551616,1]}');
  });

  it('reads integers past 2^53 as bigint and all other numbers as numbers', () => {
    expect(decodeBody('[9007199254740991, 9007199254740993, 1e21, 0.12345678901234566]')).toEqual([
      9007199254740991,
      9007199254740993n,
      1e21,
      0.12345678901234566,
    ]);
  });

  it('crashes on a body without end', () => {
    const endless: Json[] = [];
    endless.push(endless);
    expect(() => encodeBody(endless)).toThrow('nested more than 100 deep');
  });
});
