import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { reportsInFile } from '../../src/demo/report-file.ts';
import { type Reports, readReports } from '../../src/demo/reports.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';

/** A worker thread may take its time to begin on a busy machine. */
const SOON = { interval: 1 };

type Read = (path: string, firstSequence: number) => Reports | Promise<Reports>;

/** The reports of a guest that the test plays: it writes into the pipe or file as QEMU would. */
async function playedGuest(firstSequence = 1, read: Read = readReports) {
  const directory = mkdtempSync(join(tmpdir(), 'reports-'));
  const path = join(directory, 'pipe');
  const reports = await read(path, firstSequence);
  const descriptor = openSync(path, 'w');
  let open = true;
  const quit = () => {
    if (open) closeSync(descriptor);
    open = false;
  };
  onTestFinished(async () => {
    quit();
    await reports.end().catch(() => undefined); // a test of broken reports has looked at the failure already
    rmSync(directory, { recursive: true });
  });
  return { reports, quit, writeBytes: (bytes: Buffer) => writeSync(descriptor, bytes) };
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
}

describe.each([
  ['a pipe', readReports],
  ['a file', reportsInFile],
] as const)('from %s', (_from, read) => {
  test('writes count as they are reported, also when a report arrives in pieces', async () => {
    const { reports, writeBytes } = await playedGuest(1, read);
    const bytes = words(1, 2, 3);
    for (const byte of bytes.subarray(0, 10)) writeBytes(Buffer.of(byte));
    await expect.poll(() => reports.acknowledged(), SOON).toBe(2);
    writeBytes(bytes.subarray(10));
    await expect.poll(() => reports.acknowledged(), SOON).toBe(3);
  });

  test('failures count for themselves and do not advance the writes', async () => {
    const { reports, writeBytes } = await playedGuest(1, read);
    writeBytes(words(1, 0x80000002, 0x80000002, 2));
    await expect.poll(() => reports.acknowledged(), SOON).toBe(2);
    expect(reports.errors()).toBe(2);
  });

  test('a disk that the guest does not find is named', async () => {
    const { reports, writeBytes } = await playedGuest(1, read);
    expect(reports.missingDisk()).toBeUndefined();
    writeBytes(words(0xc0000000));
    await expect.poll(() => reports.missingDisk(), SOON).toBe(0);
  });

  test('everything that was written before the end is counted', async () => {
    const { reports, writeBytes, quit } = await playedGuest(1000, read);
    const all = words(...Array.from({ length: 16_000 }, (_, index) => 1000 + index));
    writeBytes(all);
    quit();
    await reports.end();
    expect(reports.acknowledged()).toBe(16_999);
  });

  test('a write reported out of order is a broken guest and is thrown at the caller that asks', async () => {
    const { reports, writeBytes } = await playedGuest(1, read);
    writeBytes(words(1, 3));
    await expect
      .poll(() => wordOf(() => reports.acknowledged()), SOON)
      .toContain('the guest reported write 3 after 1');
    await expect(reports.end()).rejects.toThrow('the guest reported write 3 after 1');
  });

  test('is taken along from where the reading was, also behind much', async () => {
    const { reports, writeBytes, quit } = await playedGuest(1, read);
    for (const from of [1, 3_001]) {
      writeBytes(words(...Array.from({ length: 3_000 }, (_, index) => from + index)));
      await expect.poll(() => reports.acknowledged(), SOON).toBe(from + 2_999);
    }
    quit();
    await reports.end();
    expect([reports.acknowledged(), reports.errors()]).toEqual([6_000, 0]);
  });
});

test('the longest gap between two writes is measured since the mark', async () => {
  const { reports, writeBytes } = await playedGuest();
  const write = async (sequence: number) => {
    writeBytes(words(sequence));
    await expect.poll(() => reports.acknowledged(), SOON).toBe(sequence);
  };
  await write(1);
  await sleep(systemClock, 120);
  await write(2);
  expect(reports.gaps().maxMs).toBeGreaterThan(100);
  reports.resetGaps();
  expect(reports.gaps().maxMs).toBe(0);
  await write(3);
  const short = reports.gaps().maxMs;
  expect(short).toBeGreaterThan(0);
  await sleep(systemClock, 30);
  await write(4);
  expect(reports.gaps().maxMs).toBeGreaterThanOrEqual(Math.max(short, 25));
});

test('a gap is timed also while the main thread is busy', async () => {
  const { reports, writeBytes } = await playedGuest();
  writeBytes(words(1));
  await expect.poll(() => reports.acknowledged(), SOON).toBe(1);
  reports.resetGaps();
  busy(60);
  writeBytes(words(2));
  // From here to the end the main thread does not get to its event loop once.
  for (let tries = 0; tries < 1000 && reports.acknowledged() < 2; tries++) busy(5);
  expect(reports.acknowledged()).toBe(2);
  expect(reports.gaps().maxMs).toBeGreaterThan(50);
});

function busy(durationMs: number): void {
  for (const untilMs = systemClock.now() + durationMs; systemClock.now() < untilMs; );
}

/** What is thrown; empty when nothing is. */
function wordOf(ask: () => unknown): string {
  try {
    ask();
    return '';
  } catch (error) {
    return String(error);
  }
}
