/**
 * The end of a saga on a terminal: what there is to say of it, its disks before and after as a table, and last of all one line
 * that is the whole result. Pure.
 */
import type { DiskResult, SagaResult } from '../../engine/running/result.ts';
import { headlineInWords, pauseInWords, withoutDisksInWords } from './summary.ts';

export function endOnTerminal(result: SagaResult): readonly string[] {
  return [...withoutDisksInWords(result), ...tableOf(result), lastLine(result)];
}

function lastLine(result: SagaResult): string {
  const pause = pauseInWords(result);
  return `${headlineInWords(result)}${pause === '' ? '' : `; ${pause}`}`;
}

function tableOf({ disks, outcome }: SagaResult): readonly string[] {
  const rows = [
    ['disk', 'before', 'after', ''],
    ...disks.map(disk => [disk.disk, disk.before.file, afterOf(disk), noteOf(disk, outcome)]),
  ];
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => [...(row[column] ?? '')].length)));
  return rows.map(row =>
    `  ${row.map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - [...cell].length))).join('  ')}`.trimEnd(),
  );
}

function afterOf({ before, after, unplugged }: DiskResult): string {
  if (unplugged !== undefined) return '(has left the guest)';
  if (after === null) return '(QEMU cannot be asked)';
  return after.file === before.file ? 'the same' : after.file;
}

function noteOf({ before, after, image, unplugged }: DiskResult, outcome: SagaResult['outcome']): string {
  if (unplugged !== undefined) return `it was on ${unplugged.file} (${unplugged.format}) last`;
  if (after === null) return '';
  const onImage = after.file === image;
  if (!onImage && outcome === 'committed') return `copied to ${image}`;
  if (!onImage && outcome === 'ready') return `mirrored to ${image}`;
  const below = after.chain.slice(1);
  return after.file === before.file && outcome === 'committed'
    ? `stands on ${below.join(' <- ') || 'nothing'} now`
    : '';
}
