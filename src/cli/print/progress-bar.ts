/** One disk's copy as a line of a terminal: a bar that fills, how much, how fast, and for how long still. Pure. */
import type { ProgressNotice } from '../../engine/running/saga-types.ts';
import { durationInWords, growingSizeInWords } from '../../railway/words.ts';
import { percentOf, statusInWords } from './words.ts';

type Progress = Pick<
  ProgressNotice,
  'disk' | 'status' | 'currentBytes' | 'totalBytes' | 'bytesPerSecond' | 'remainingMs'
>;

const BAR_MIN = 8;
const BAR_MAX = 28;
/** What stands beside the bar and the disk's name, at its widest. */
const FIGURES = 56;

/** `disk0  ████████░░░░░░░░  45 %  28.8 MiB of 64.0 MiB  12.0 MiB/s  3.0 s left`, not wider than the terminal where it can be. */
export function progressLine(progress: Progress, nameWidth: number, columns: number): string {
  const { disk, status, currentBytes, totalBytes } = progress;
  const name = disk.padEnd(nameWidth);
  if (totalBytes === 0) return `${name}  ${statusInWords(status)}`;
  const room = columns - nameWidth - FIGURES;
  const bar = barOf(currentBytes / totalBytes, Math.max(BAR_MIN, Math.min(BAR_MAX, room)));
  const percent = `${percentOf(currentBytes, totalBytes)} %`.padStart(5);
  const amount = `${growingSizeInWords(currentBytes)} of ${growingSizeInWords(totalBytes)}`;
  return [name, bar, percent, amount, ...paceOf(progress)].join('  ');
}

/** Only of a job that copies: one that is ready has no end. */
function paceOf({ status, bytesPerSecond, remainingMs }: Progress): readonly string[] {
  if (status !== 'running') return [statusInWords(status)];
  if (bytesPerSecond === null) return [];
  const left = remainingMs === null ? [] : [`${durationInWords(remainingMs)} left`];
  return [`${growingSizeInWords(bytesPerSecond)}/s`, ...left];
}

/** Full only when all is there. */
function barOf(share: number, wide: number): string {
  const full = Math.max(0, Math.min(wide, Math.floor(share * wide)));
  return '█'.repeat(full) + '░'.repeat(wide - full);
}
