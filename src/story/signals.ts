/** What a saga was asked, in words, from its records. Pure. */
import { HEARD, SET_SPEED } from '../engine/durable/history.ts';
import { signalValue } from '../journal/asked.ts';
import type { JournalRecord } from '../journal/journal.ts';
import { TAKEN_OVER } from '../journal/taken-over.ts';
import type { Signal } from './story.ts';

export function signalsIn(records: readonly JournalRecord[]): readonly Signal[] {
  return records.flatMap(({ kind, step, body, atMs }) => {
    if (kind !== 'signal' || step === HEARD || step === TAKEN_OVER) return [];
    return [
      {
        atMs,
        words: step === SET_SPEED ? speedInWords(Number(signalValue(body))) : `asked to ${spaced(step)}`,
      },
    ];
  });
}

function speedInWords(bytesPerSecond: number): string {
  if (bytesPerSecond === 0) return 'asked to copy as fast as it can';
  return `asked to copy ${(bytesPerSecond / 2 ** 20).toFixed(1)} MiB/s at most`;
}

function spaced(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`);
}
