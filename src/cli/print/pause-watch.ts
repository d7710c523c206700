/** Hears from a saga's notices when it had the guest paused, and for how long: what was seen from here, to the millisecond. */
import type { EnteredNotice } from '../../engine/running/saga-types.ts';
import { durationInWords } from '../../railway/words.ts';
import { timeInWords } from './words.ts';

export class PauseWatch {
  #sinceMs: number | null = null;

  /** A line when a pause is over; of what another process did, nothing. */
  heard({ guestPaused, replayed, atMs }: EnteredNotice): string | undefined {
    if (replayed) return undefined;
    const sinceMs = this.#sinceMs;
    if (guestPaused) {
      this.#sinceMs = sinceMs ?? atMs;
      return undefined;
    }
    this.#sinceMs = null;
    if (sinceMs === null) return undefined;
    return `the guest was paused at ${timeInWords(sinceMs)}, for about ${durationInWords(atMs - sinceMs)}`;
  }
}
