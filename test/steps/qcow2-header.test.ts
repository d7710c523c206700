/** What is read out of the first bytes of a file that may be an overlay, or anything else, also made up to mislead. */
import { describe, expect, test } from 'vitest';
import { HEADER_BYTES, readQcow2Header } from '../../src/images/qcow2-header.ts';

interface Made {
  readonly version?: number;
  readonly offset?: bigint;
  readonly length?: number;
  readonly incompatible?: bigint;
}

/** The fields that count (docs/interop/qcow2.txt), and a name at 512. */
function header(name: string, { version = 3, offset = 512n, length, incompatible = 0n }: Made = {}): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.write('QFI\u00fb', 0, 'latin1');
  bytes.writeUInt32BE(version, 4);
  bytes.writeBigUInt64BE(offset, 8);
  bytes.writeUInt32BE(length ?? Buffer.byteLength(name), 16);
  if (version === 3) bytes.writeBigUInt64BE(incompatible, 72);
  bytes.write(name, 512);
  return bytes;
}

const FILE = '/vm/over.qcow2';

describe('an overlay', () => {
  test.each([
    ['/vm/disk.qcow2', ['/vm/disk.qcow2']],
    ['disk.qcow2', ['/vm/disk.qcow2']],
    ['../other/disk é.qcow2', ['/other/disk é.qcow2']],
    ['file:/vm/disk.qcow2', ['/vm/disk.qcow2']],
    ['json:{"driver":"throttle","file":{"driver":"qcow2","file":{"filename":"/vm/a"}}}', ['/vm/a']],
    ['json:{"driver":"qcow2","file.filename":"/vm/b"}', ['/vm/b']],
    ['json:{"driver":"quorum","children":[{"filename":"c"},{"filename":"d"}]}', ['/vm/c', '/vm/d']],
    ['json:{"driver":', []],
    ['json:[1,null,"filename"]', []],
  ])('names %s', (name, backing) => {
    expect(readQcow2Header(header(name), FILE)).toEqual({ backing, hasDataFile: false });
    expect(readQcow2Header(header(name, { version: 2 }), FILE)).toEqual({ backing, hasDataFile: false });
  });

  test('says when its data are in another file', () => {
    expect(readQcow2Header(header('a', { incompatible: 5n }), FILE)).toMatchObject({ hasDataFile: true });
    expect(readQcow2Header(header('a', { incompatible: 3n }), FILE)).toMatchObject({ hasDataFile: false });
  });
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['zeroes', Buffer.alloc(HEADER_BYTES)],
  ['a beginning', header('a').subarray(0, 60)],
  ['the beginning of a newer one', header('a').subarray(0, 100)],
  ['another version', header('a', { version: 4 })],
  ['an image without one below it', header('a', { offset: 0n })],
  ['a name without a length', header('a', { length: 0 })],
  ['a name that is too long', header('a', { length: 1024 })],
  ['a name behind what was read', header('a', { offset: 4096n })],
  ['a name further than any file', header('a', { offset: 2n ** 64n - 1n })],
  [
    'text',
    Buffer.from('QFI is no image, and goes on long enough to be looked at as a header would be. '.repeat(4)),
  ],
])('%s is no overlay', (_what, bytes) => {
  expect(readQcow2Header(bytes, FILE)).toBeUndefined();
});
