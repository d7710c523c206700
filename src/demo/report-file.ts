/**
 * The reports of a guest whose gaps are not timed: QEMU's debug console writes them into a file, and each question reads what is
 * new in it. It needs no pipe and no thread, whose start costs as much as QEMU's own; `reports.ts` has those.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { BrokenAssumption, invariant } from '../errors.ts';
import { readReport } from './ordered-writer.ts';
import type { Reports } from './reports.ts';

const PIECE_BYTES = 4_096;
const REPORT_BYTES = 4;

/** Makes the file at `path`, in which QEMU may begin at any time. `firstSequence` is what the guest begins with. */
export function reportsInFile(path: string, firstSequence: number): Reports {
  const descriptor = openSync(path, 'w+');
  const piece = Buffer.alloc(PIECE_BYTES);
  let acknowledged = firstSequence - 1;
  let errors = 0;
  let missingDisk: number | undefined;
  let atByte = 0;
  let isOpen = true;

  function readOn(): void {
    while (isOpen) {
      const count = readSync(descriptor, piece, 0, PIECE_BYTES, atByte);
      const whole = count - (count % REPORT_BYTES);
      if (whole === 0) return;
      for (let at = 0; at < whole; at += REPORT_BYTES) {
        take(piece.readUInt32LE(at));
        atByte += REPORT_BYTES;
      }
    }
  }
  /** A report out of order stays the next one, and each question throws it. */
  function take(word: number): void {
    const report = readReport(word);
    if (report.kind === 'diskMissing') missingDisk = report.disk;
    else if (report.kind === 'failed') errors += 1;
    else {
      const isNext = report.sequence === acknowledged + 1;
      invariant(isNext, `the guest reported write ${report.sequence} after ${acknowledged}`);
      acknowledged = report.sequence;
    }
  }
  function current<T>(get: () => T): T {
    readOn();
    return get();
  }
  function close(): void {
    if (isOpen) closeSync(descriptor);
    isOpen = false;
  }
  function untimed(): never {
    throw new BrokenAssumption('the gaps of this guest are not timed');
  }
  return {
    acknowledged: () => current(() => acknowledged),
    errors: () => current(() => errors),
    missingDisk: () => current(() => missingDisk),
    gaps: untimed,
    resetGaps: untimed,
    async end() {
      try {
        readOn();
      } finally {
        close();
      }
    },
    endNow: close,
  };
}
