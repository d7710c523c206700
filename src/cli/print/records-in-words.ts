/** A saga's records as the story of its steps, one line each. Pure; reads bodies only to tell of them. */
import { HEARD, SET_SPEED } from '../../engine/durable/history.ts';
import { LEADER_LOST } from '../../engine/durable/leader-lost.ts';
import { MERGED_ELSEWHERE } from '../../engine/durable/merged-elsewhere.ts';
import { RAN_ON_BOTH } from '../../engine/durable/ran-on-both.ts';
import { SEEN_ON } from '../../engine/durable/seen-on.ts';
import { WATCHED } from '../../engine/durable/watched.ts';
import type { ErrorRecord } from '../../errors.ts';
import { askedIn, signalValue } from '../../journal/asked.ts';
import { member } from '../../journal/body.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import { TAKEN_OVER } from '../../journal/taken-over.ts';
import type { Json } from '../../qmp/transport.ts';
import { growingSizeInWords } from '../../railway/words.ts';
import { splitKey } from '../../steps/stages.ts';
import { stepInWords, timeInWords } from './words.ts';

/** One line per step that ended, decision and signal, in their order; last the steps of which no end is written. */
export function recordsInWords(records: readonly JournalRecord[]): readonly string[] {
  const begun = new Map<string, JournalRecord>();
  const lines: string[] = [];
  for (const record of records) {
    const at = timeInWords(record.atMs);
    switch (record.kind) {
      case 'intent':
        begun.set(record.step, record);
        break;
      case 'outcome': {
        if (record.step === WATCHED) {
          lines.push(`${at} until then all disks were watched, and were where this journal says`);
          break;
        }
        if (record.step === SEEN_ON) {
          lines.push(`${at} looked, at the end, at which images the guest is on`);
          break;
        }
        if (splitKey(record.step).step === RAN_ON_BOTH) {
          lines.push(
            `${at} saw that the guest had run on both sides of its disks: neither is removed or written over`,
          );
          break;
        }
        if (record.step === MERGED_ELSEWHERE) {
          const files = member(member(record.body, 'value'), 'files');
          const names = Array.isArray(files) ? files.join(', ') : '';
          lines.push(`${at} saw other files under names of images that QEMU was merging into: ${names}`);
          break;
        }
        const since = begun.get(record.step)?.atMs ?? record.atMs;
        begun.delete(record.step);
        lines.push(`${at} ${stepInWords(record.step)}: ${outcomeInWords(record.body, record.atMs - since)}`);
        break;
      }
      case 'decision':
        if (record.step === LEADER_LOST) {
          const end = member(record.body, 'verdict') === 'forward' ? 'commit' : 'roll back';
          lines.push(`${at} a person has said that the leading host is lost for good, and decided: ${end}`);
          break;
        }
        lines.push(`${at} decided: ${DECISIONS[String(member(record.body, 'verdict'))] ?? 'unknown'}`);
        break;
      case 'signal':
        lines.push(`${at} ${signalInWords(record)}`);
        break;
    }
  }
  const open = [...begun.values()].map(
    ({ atMs, step }) => `${timeInWords(atMs)} ${stepInWords(step)}: begun, no end is written`,
  );
  return [...lines, ...open];
}

function signalInWords({ step, body }: JournalRecord): string {
  const error = member(body, 'error') as object | null as ErrorRecord | null;
  if (step === HEARD)
    return error === null ? 'heard what was asked' : `refused what was asked: ${error.message}`;
  if (step === TAKEN_OVER)
    return `taken over by another process: ${LET_GO[String(member(body, 'after'))] ?? 'the one before had let go of it'}`;
  const where =
    askedIn({ kind: 'signal', step, body, seq: 0, atMs: 0 }) === undefined ? '' : ', from elsewhere';
  if (step !== SET_SPEED) return `asked to ${step}${where}`;
  const speed = Number(signalValue(body));
  return `asked to ${speed === 0 ? 'copy as fast as it can' : `copy ${growingSizeInWords(speed)}/s at most`}${where}`;
}

const LET_GO: Readonly<Record<string, string>> = {
  died: 'the one before had ended',
  released: 'the one before had given it up',
  seized: 'by force from one that was alive',
  needsRecovery: 'the one before had ended it as needsRecovery',
};

const DECISIONS: Readonly<Record<string, string>> = {
  forward: 'all disks go to the new side, the saga only rolls forward',
  back: 'all disks roll back after all',
  asIs: 'the guest is resumed with each disk on the side where it is',
};

function outcomeInWords(body: Json, tookMs: number): string {
  const error = member(body, 'error') as object | null as ErrorRecord | null;
  if (error === null) return `done in ${tookMs} ms`;
  const place = error.disk === undefined ? '' : ` on ${error.disk}`;
  const said =
    error.cause === undefined || error.message.includes(error.cause.desc) ? '' : ` (${error.cause.desc})`;
  return `failed${place} after ${tookMs} ms: ${error.message}${said}`;
}
