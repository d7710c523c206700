import { describe, expect, test } from 'vitest';
import { bandwidthOf, bytesPerSecond } from '../../src/libvirt/bandwidth.ts';
import { readFlags } from '../../src/libvirt/flags.ts';
import { BLOCK_COPY, LibvirtError, SNAPSHOT_CREATE } from '../../src/libvirt/index.ts';
import { translateJob } from '../../src/libvirt/job-info.ts';

/** The category that a call throws. */
function categoryOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof LibvirtError) return error.category;
    throw error;
  }
  return undefined;
}

describe('what is told of a block job', () => {
  test.each([
    { what: 'one that QEMU does not show', raw: undefined, cur: 0, end: 1 },
    { what: 'a mirror that has not begun', raw: { offset: 0, len: 0, ready: false }, cur: 0, end: 1 },
    { what: 'a ready mirror of an empty disk', raw: { offset: 0, len: 0, ready: true }, cur: 1, end: 1 },
    { what: 'a pull that has not begun', raw: { offset: 0, len: 0, ready: undefined }, cur: 0, end: 0 },
    { what: 'a mirror all copied but not ready', raw: { offset: 9, len: 9, ready: false }, cur: 8, end: 9 },
    { what: 'a ready mirror', raw: { offset: 9, len: 9, ready: true }, cur: 9, end: 9 },
    { what: 'a mirror under way', raw: { offset: 4, len: 9, ready: false }, cur: 4, end: 9 },
    { what: 'a pull that is finishing', raw: { offset: 9, len: 9, ready: undefined }, cur: 9, end: 9 },
  ])('$what is told as $cur of $end', ({ raw, cur, end }) => {
    expect(translateJob('COPY', raw && { ...raw, speed: 0 }, 'MiB')).toMatchObject({ cur, end });
  });

  test('rounds the bandwidth up to MiB/s, and says bytes when asked', () => {
    const raw = { offset: 0, len: 9, ready: false, speed: 1_048_577 };
    expect(translateJob('PULL', raw, 'MiB').bandwidth).toBe(2);
    expect(translateJob('PULL', raw, 'bytes').bandwidth).toBe(1_048_577);
  });
});

describe('a bandwidth', () => {
  test('is OVERFLOW when it cannot be told exactly', () => {
    expect(categoryOf(() => bandwidthOf(2n ** 60n, 'bytes'))).toBe('OVERFLOW');
    expect(bandwidthOf(2n ** 60n, 'MiB')).toBe(2 ** 40);
  });

  test('may be up to 63 bits of bytes', () => {
    expect(bytesPerSecond(3, 'MiB')).toBe(3_145_728);
    expect(bytesPerSecond(3, 'bytes')).toBe(3);
    expect(bytesPerSecond(2n ** 63n - 1n, 'bytes')).toBe(Number.MAX_SAFE_INTEGER);
    expect(categoryOf(() => bytesPerSecond(2n ** 63n, 'bytes'))).toBe('OVERFLOW');
    expect(categoryOf(() => bytesPerSecond(8_796_093_022_208, 'MiB'))).toBe('OVERFLOW');
    expect(categoryOf(() => bytesPerSecond(-1, 'MiB'))).toBe('INVALID_ARG');
    expect(categoryOf(() => bytesPerSecond(0.5, 'MiB'))).toBe('INVALID_ARG');
  });
});

describe('flags', () => {
  test('may be names or bits', () => {
    expect([...readFlags('blockCopy', BLOCK_COPY, 5)]).toEqual(['SHALLOW', 'TRANSIENT_JOB']);
    expect([...readFlags('snapshotCreate', SNAPSHOT_CREATE, ['DISK_ONLY'])]).toEqual(['DISK_ONLY']);
  });

  test.each([16, -1, 0.5, 2 ** 32, 2 ** 32 + 1])('are INVALID_ARG when they are %d', bits => {
    expect(categoryOf(() => readFlags('blockCopy', BLOCK_COPY, bits))).toBe('INVALID_ARG');
  });
});
