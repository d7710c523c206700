/**
 * The thread that reads what the guest reports. It runs beside the main thread so that the guest's 4 bytes a write are
 * taken off the pipe, and timed, also while the main thread is busy. Started by `reports.ts`; must not be imported.
 *
 * The pipe holds 64 KiB and QEMU writes each byte with a call of its own, so a read may bring very little: after each
 * read the thread rests, which bounds the wake-ups and is the resolution of the measured gaps.
 */
import { readSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { invariant } from '../errors.ts';
import { systemClock } from '../qmp/clock.ts';
import { readReport } from './ordered-writer.ts';
import { REST_MS, type ReaderData, SLOT } from './reports.ts';

const { descriptor, memory } = workerData as ReaderData;
const shared = new Int32Array(memory);
const never = new Int32Array(new SharedArrayBuffer(4));

const buffer = Buffer.alloc(65_536);
let held = 0; // bytes of an unfinished report at the start of the buffer
let previousMs: number | undefined;

for (;;) {
  const count = readSync(descriptor, buffer, held, buffer.length - held, null);
  if (count === 0) break; // QEMU is gone and everything that it wrote has been read
  const nowMs = systemClock.now();
  const end = held + count;
  let written = false;
  let at = 0;
  for (; at + 4 <= end; at += 4) {
    written = take(buffer.readUInt32LE(at)) || written;
  }
  buffer.copy(buffer, 0, at, end);
  held = end - at;
  if (written) {
    const gapUs = previousMs === undefined ? 0 : Math.round((nowMs - previousMs) * 1000);
    if (gapUs > Atomics.load(shared, SLOT.gapUs)) Atomics.store(shared, SLOT.gapUs, gapUs);
    previousMs = nowMs;
  }
  Atomics.wait(never, 0, 0, REST_MS);
}

function take(word: number): boolean {
  const report = readReport(word);
  if (report.kind === 'diskMissing') {
    Atomics.store(shared, SLOT.missingDisk, report.disk + 1);
    return false;
  }
  if (report.kind === 'failed') {
    Atomics.add(shared, SLOT.errors, 1);
    return false;
  }
  const last = Atomics.load(shared, SLOT.acknowledged);
  invariant(report.sequence === last + 1, `the guest reported write ${report.sequence} after ${last}`);
  Atomics.store(shared, SLOT.acknowledged, report.sequence);
  return true;
}
