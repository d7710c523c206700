/** Makes what listeners hear of a saga: what it is about in one word, and how fast its disks are copied. It decides nothing. */
import type { SagaRow } from '../../journal/journal.ts';
import type { Clock } from '../../qmp/clock.ts';
import { QUEUED } from '../../steps/jobs/run-jobs.ts';
import type { JobProgress } from '../../steps/step/step.ts';
import { isolated, type OnListenerError, tellerOf } from '../connection/isolate.ts';
import type {
  EnteredNotice,
  Metadata,
  NoticeBase,
  ProgressNotice,
  SagaNotice,
  SagaPhase,
} from './saga-types.ts';

/** Over how long a rate is measured, in milliseconds. */
const RATE_MS = 10_000;

/** What all notices of one saga have in common. */
export type NoticeOf = Pick<NoticeBase, 'saga' | 'vm' | 'metadata'>;

/** Where the saga is when something is told. */
export interface Place {
  readonly state: string;
  readonly guestPaused: boolean;
  readonly replayed: boolean;
}

/** What has been told of one saga, and to whom: those who come late hear the states so far, and each disk's last progress. */
export class Announcements {
  readonly #of: NoticeOf;
  readonly #parts: { readonly clock: Clock; readonly onListenerError: OnListenerError | undefined };
  readonly #listeners = new Set<(notice: SagaNotice) => void>();
  readonly #entered: EnteredNotice[] = [];
  readonly #last = new Map<string, ProgressNotice>();
  readonly #rates: Rates;
  #place: Place = { state: '', guestPaused: false, replayed: false };

  constructor(
    of: NoticeOf,
    parts: { readonly clock: Clock; readonly onListenerError: OnListenerError | undefined },
  ) {
    this.#of = of;
    this.#parts = parts;
    this.#rates = new Rates(parts.clock);
  }

  get place(): Place {
    return this.#place;
  }

  subscribe(listener: (notice: SagaNotice) => void): () => void {
    const place = { listener: 'subscribe', saga: this.#of.saga } as const;
    const entry = isolated(listener, tellerOf(this.#parts.onListenerError, place));
    for (const notice of [...this.#entered, ...this.#last.values()]) entry(notice);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  entered(place: Place): void {
    this.#place = place;
    const notice = enteredNotice(this.#of, place, this.#parts.clock.epochMs());
    this.#entered.push(notice);
    this.#tell(notice);
  }

  progress(progress: JobProgress): void {
    const seen = { ...progress, bytesPerSecond: this.#rates.heard(progress) };
    const notice = progressNotice(this.#of, this.#place, this.#parts.clock.epochMs(), seen);
    this.#last.set(progress.disk, notice);
    this.#tell(notice);
  }

  #tell(notice: SagaNotice): void {
    // One that comes now has heard this notice already, and one that goes now hears it no more.
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) listener(notice);
  }
}

export function enteredNotice(of: NoticeOf, place: Place, atMs: number): EnteredNotice {
  return Object.freeze({ type: 'event', event: 'entered', state: place.state, ...base(of, place, atMs) });
}

export function progressNotice(
  of: NoticeOf,
  place: Place,
  atMs: number,
  progress: JobProgress & { readonly bytesPerSecond: number | null },
): ProgressNotice {
  const { currentBytes, totalBytes, bytesPerSecond } = progress;
  const leftBytes = Math.max(0, totalBytes - currentBytes);
  const remainingMs =
    bytesPerSecond === null || bytesPerSecond <= 0 ? null : Math.round((leftBytes / bytesPerSecond) * 1_000);
  const phase = progress.status === QUEUED ? ({ phase: 'queued' } as const) : {};
  return Object.freeze({ type: 'progress', ...progress, remainingMs, ...base(of, place, atMs), ...phase });
}

function base(of: NoticeOf, { state, guestPaused, replayed }: Place, atMs: number): NoticeBase {
  return { ...of, atMs, phase: phaseOf(state, guestPaused), guestPaused, replayed };
}

/** The metadata that a saga was submitted with. */
export function metadataOf({ request }: Pick<SagaRow, 'request'>): Metadata | undefined {
  const has = typeof request === 'object' && request !== null && 'metadata' in request;
  return has ? (request.metadata as Metadata) : undefined;
}

const PHASES: Readonly<Record<string, SagaPhase>> = {
  preparing: 'preparing',
  mirroring: 'mirroring',
  rewriting: 'rewriting',
  ready: 'mirroring',
  keepingCopies: 'switching',
  snapshotting: 'switching',
  switching: 'switching',
  cleaningUp: 'cleaningUp',
  compensating: 'rollingBack',
  stranded: 'stranded',
  committed: 'ended',
  rolledBack: 'ended',
  needsRecovery: 'ended',
};

/** The state's own phase; a guest that is paused comes first, and so does a wait for a signal. */
function phaseOf(state: string, guestPaused: boolean): SagaPhase {
  const path = state.split('.');
  if (path.at(-1) === 'awaitSignal') return 'waiting';
  const phase = PHASES[path[0] ?? ''] ?? 'preparing';
  return guestPaused && phase !== 'ended' && phase !== 'rollingBack' ? 'paused' : phase;
}

/** How fast each disk is copied, over the last seconds. */
export class Rates {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #seen = new Map<string, readonly { readonly atMs: number; readonly bytes: number }[]>();

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** Null until the disk's job has been seen twice. */
  heard({ disk, currentBytes: bytes }: Pick<JobProgress, 'disk' | 'currentBytes'>): number | null {
    const atMs = this.#clock.now();
    const seen = this.#seen.get(disk) ?? [];
    // The last look before the span too, so that one who looks seldom has a rate all the same.
    const within = seen.filter((_, at) => (seen[at + 1]?.atMs ?? atMs) >= atMs - RATE_MS);
    const first = within[0];
    const isNew = (within.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) <= atMs - RATE_MS / 20;
    this.#seen.set(disk, isNew ? [...within, { atMs, bytes }] : within);
    if (first === undefined || atMs <= first.atMs) return null;
    return Math.max(0, Math.round(((bytes - first.bytes) * 1_000) / (atMs - first.atMs)));
  }
}
