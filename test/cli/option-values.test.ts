import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  absoluteFile,
  journalFile,
  readBytes,
  readChoice,
  readCount,
  readFront,
  readNames,
  socketAddress,
} from '../../src/cli/options/option-values.ts';
import { fakeContext } from './fake-context.ts';

describe('sizes and counts', () => {
  test.each([
    ['0', 0],
    ['512', 512],
    ['64K', 65_536],
    ['64k', 65_536],
    ['100M', 104_857_600],
    ['2G', 2_147_483_648],
  ])('%s is %d bytes', (text, bytes) => {
    expect(readBytes('--bandwidth')(text)).toBe(bytes);
  });

  test('every whole number is itself', () => {
    fc.assert(fc.property(fc.maxSafeNat(), bytes => readBytes('--x')(String(bytes)) === bytes));
  });

  test.each([
    '',
    'K',
    '-1',
    '1.5G',
    '1T',
    '10MB',
    '0x10',
    ' 1',
    '1e3',
    '99999999999999999999',
    '9007199254740991K',
  ])('"%s" is no number of bytes', text => {
    expect(() => readBytes('--bandwidth')(text)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringContaining('--bandwidth') }),
    );
  });

  test('a count is a whole number', () => {
    expect(readCount('--parallel')('3')).toBe(3);
    for (const text of ['', '-1', '2.5', 'two', '1e2'])
      expect(() => readCount('--parallel')(text)).toThrow('--parallel');
  });
});

describe('words', () => {
  test('names stand between commas, with or without blanks', () => {
    expect(readNames('transaction, blockdev-reopen,')).toEqual(['transaction', 'blockdev-reopen']);
  });

  test('says of all disks alike, or of each, on which images a guest ran last', () => {
    const read = readFront('--front');
    expect(read('snapshot')).toBe('snapshot');
    expect(read('disk0=new, /machine/x[0]=old')).toEqual({ disk0: 'new', '/machine/x[0]': 'old' });
    for (const wrong of ['', 'newer', 'disk0=newer', 'disk0', 'disk0=new,old', 'disk0=new,disk0=old'])
      expect(() => read(wrong)).toThrow('one of old, snapshot, new, or one of them for each disk');
  });

  test('a choice is one of its words, spelled as they are', () => {
    expect(readChoice('--finish', ['pivot', 'clone'])('clone')).toBe('clone');
    expect(() => readChoice('--finish', ['pivot', 'clone'])('Clone')).toThrow('one of pivot, clone');
  });
});

describe('places', () => {
  const context = fakeContext({ directory: '/desk' });

  test('file names are made absolute against the working directory', () => {
    expect(absoluteFile('a.qcow2', context)).toBe('/desk/a.qcow2');
    expect(absoluteFile('../b.qcow2', context)).toBe('/b.qcow2');
    expect(absoluteFile('/c.qcow2', context)).toBe('/c.qcow2');
  });

  test.each([
    ['vm.qmp', '/desk/vm.qmp'],
    ['./run/vm.qmp', '/desk/run/vm.qmp'],
    ['/run/vm.qmp', '/run/vm.qmp'],
    ['unix:vm.qmp', 'unix:/desk/vm.qmp'],
    ['tcp:127.0.0.1:4444', 'tcp:127.0.0.1:4444'],
    ['localhost:4444', 'localhost:4444'],
    ['[::1]:4444', '[::1]:4444'],
  ])('the monitor %s is %s', (text, address) => {
    expect(socketAddress(text, context)).toBe(address);
  });

  test('the journal is where XDG says, unless it is named', () => {
    const home = fakeContext({ env: { HOME: '/home/ada' } });
    expect(journalFile(undefined, home)).toBe('/home/ada/.local/state/blocksaga/journal.db');
    const xdg = (state: string) => fakeContext({ env: { HOME: '/home/ada', XDG_STATE_HOME: state } });
    expect(journalFile(undefined, xdg('/var/state'))).toBe('/var/state/blocksaga/journal.db');
    expect(journalFile(undefined, xdg('relative'))).toBe('/home/ada/.local/state/blocksaga/journal.db');
    expect(journalFile('own.db', context)).toBe('/desk/own.db');
  });
});
