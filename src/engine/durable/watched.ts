/**
 * Until when a saga's disks were watched, as its journal says it: until then no third party has switched one unseen.
 * What was written to an image after that was not watched. Pure; `watch.ts` writes these records.
 */
import { member } from '../../journal/body.ts';
import type { JournalRecord, NewRecord } from '../../journal/journal.ts';

/** What it stands under: no step of a machine, and of every stage. */
export const WATCHED = 'watched';

/** For clocks of a file server and of this machine, and for what a killed QEMU had given to its host to write. */
const SLACK_MS = 2_000;

/** `nextMs`: how long after that the next such record was to come; 0 where the end of the connection was seen. */
export const watched = (untilMs: number, nextMs: number): NewRecord => ({
  kind: 'outcome',
  step: WATCHED,
  body: { value: { untilMs, nextMs } },
});

/** The last moment at which disks were known to be where the journal says, and the one at which it would have said so again. */
export interface Watched {
  readonly untilMs: number;
  readonly nextByMs: number;
}

/** `begunMs`: before a saga there is nothing to switch to. */
export function watchedUntil(records: readonly JournalRecord[], begunMs: number, firstMs: number): Watched {
  let last: Watched = { untilMs: begunMs, nextByMs: begunMs + firstMs + SLACK_MS };
  for (const { kind, step, body } of records) {
    const value = kind === 'outcome' && step === WATCHED ? member(body, 'value') : null;
    const [untilMs, nextMs] = [member(value, 'untilMs'), member(value, 'nextMs')];
    if (typeof untilMs !== 'number' || typeof nextMs !== 'number' || untilMs < last.untilMs) continue;
    last = { untilMs, nextByMs: untilMs + nextMs + SLACK_MS };
  }
  return last;
}
