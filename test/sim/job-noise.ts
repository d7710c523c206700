/**
 * What QEMU reports of a job by chance: it pauses jobs for a moment when the graph changes, and whether a client hears of
 * that depends on when its main loop runs. Left out of every comparison, on both sides alike; hides nothing that a verb
 * has caused, and no status that a job had not reached before.
 */

const PAUSED = new Set(['paused', 'standby']);

/** One job's event; `status` only of a change of status. */
export interface JobEvent {
  readonly status?: string;
  readonly text: string;
  /** How many events of any kind came before it. */
  readonly at: number;
}

/**
 * The events of one job without each pause from which it came back as what it was, nothing between. `pausedAt` says how
 * many events had come when the script paused it: the pause that follows each is kept.
 */
export function withoutMomentaryPauses(
  events: readonly JobEvent[],
  pausedAt: readonly number[] = [],
): readonly JobEvent[] {
  const causes = [...pausedAt];
  const kept: JobEvent[] = [];
  const caused = new Set<JobEvent>();
  for (const event of events) {
    if (PAUSED.has(event.status ?? '') && causes[0] !== undefined && causes[0] <= event.at) {
      causes.shift();
      caused.add(event);
    }
    const last = kept.at(-1);
    const isMomentary =
      last !== undefined &&
      PAUSED.has(last.status ?? '') &&
      !caused.has(last) &&
      event.status !== undefined &&
      event.status === statusBefore(kept);
    if (isMomentary) kept.pop();
    else kept.push(event);
  }
  return kept;
}

/** What the job was before the last of these events. */
function statusBefore(events: readonly JobEvent[]): string | undefined {
  return events.slice(0, -1).findLast(({ status }) => status !== undefined)?.status;
}
