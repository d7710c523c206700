/**
 * What is heard of a saga that another process runs, or has run: its states from its records, and each disk's progress from what that
 * process says of it when it renews its lease. It looks a few times a second while there are listeners, and speaks to no QEMU.
 */
import { definedOnly } from '../errors.ts';
import type { Journal, JournalRecord, SagaRow } from '../journal/journal.ts';
import { stateOfStep } from '../machines/state-of-step.ts';
import type { Plan } from '../plan/plan.ts';
import { type Clock, sleep } from '../qmp/clock.ts';
import type { JobProgress } from '../steps/step/step.ts';
import { isolated, type OnListenerError, tellerOf } from './connection/isolate.ts';
import { endedSaga } from './running/ended-saga.ts';
import { enteredNotice, metadataOf, type Place, progressNotice, Rates } from './running/notices.ts';
import { mayBeLeft, type SagaCore, sagaOf } from './running/saga-face.ts';
import type { Saga, SagaNotice } from './running/saga-types.ts';

const LOOK_MS = 250;

interface Followed extends Pick<SagaCore, 'result' | 'ended' | 'signal' | 'setSpeed'> {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly row: SagaRow;
  readonly plan: Plan;
  readonly onListenerError: OnListenerError | undefined;
}

/** The handle of one that has ended: it gives its result, hears no signal, and tells from its records what has led there. */
export function endedHandle(
  parts: Pick<Followed, 'journal' | 'clock' | 'onListenerError'>,
  row: SagaRow,
): Saga {
  const { result, ended, plan, setSpeed, pivot } = endedSaga(row);
  return followedSaga({ ...parts, row, plan, result, ended, setSpeed, signal: pivot });
}

/** The handle of it. */
export function followedSaga(parts: Followed): Saga {
  const { row, plan } = parts;
  const { id, vm, operation } = row;
  const followers = new Set<Follower>();
  /** What awaits an end has heard by then what led to it. */
  const behindNews = <T>(end: Promise<T>): Promise<T> =>
    mayBeLeft(
      end.finally(() => {
        for (const follower of followers) follower.tellNews();
      }),
    );
  return sagaOf({
    ...{ id, vm, operation, plan, metadata: metadataOf(row) },
    get result() {
      return behindNews(parts.result);
    },
    get ended() {
      return behindNews(parts.ended);
    },
    signal: name => parts.signal(name),
    setSpeed: bytesPerSecond => parts.setSpeed(bytesPerSecond),
    subscribe: listener => {
      const follower = new Follower(parts, listener);
      followers.add(follower);
      void follower.follow(parts.clock);
      return () => {
        followers.delete(follower);
        follower.stop();
      };
    },
  });
}

/** Tells one listener what the journal has by now, then what comes. */
class Follower {
  readonly #reader: NoticeReader;
  readonly #tell: (notice: SagaNotice) => void;
  #isOver = false;

  constructor(parts: Followed, listener: (notice: SagaNotice) => void) {
    const { onListenerError, row } = parts;
    this.#tell = isolated(listener, tellerOf(onListenerError, { listener: 'subscribe', saga: row.id }));
    this.#reader = new NoticeReader(parts);
  }

  async follow(clock: Clock): Promise<void> {
    for (;;) {
      this.tellNews();
      if (this.#isOver) return;
      await sleep(clock, LOOK_MS);
    }
  }

  tellNews(): void {
    if (this.#isOver) return;
    try {
      for (const notice of this.#reader.read()) if (!this.#isOver) this.#tell(notice);
      this.#isOver ||= this.#reader.hasEnded;
    } catch {
      // A journal that cannot be read is told to those who wait for the saga's end; here there is nothing to tell then.
      this.#isOver = true;
    }
  }

  stop(): void {
    this.#isOver = true;
  }
}

/** Reads on where it has read to. */
class NoticeReader {
  readonly #parts: Followed;
  readonly #rates: Rates;
  #seq = 0;
  #place: Place = { state: '', guestPaused: false, replayed: false };
  #renewedAtMs = 0;
  hasEnded = false;

  constructor(parts: Followed) {
    this.#parts = parts;
    this.#rates = new Rates({ now: () => this.#renewedAtMs });
  }

  read(): readonly SagaNotice[] {
    const { journal, row } = this.#parts;
    const now = journal.saga(row.id) ?? row;
    const news = journal.records(row.id).slice(this.#seq);
    this.#seq += news.length;
    const notices = [...news.flatMap(record => this.#entered(record)), ...this.#progress(now)];
    if (now.state === 'open') return notices;
    this.hasEnded = true;
    return [...notices, ...this.#enters(now.state, false, now.endedAtMs ?? 0)];
  }

  #entered({ kind, step, atMs }: JournalRecord): readonly SagaNotice[] {
    const found = kind === 'intent' ? stateOfStep(this.#parts.plan, step) : undefined;
    return found === undefined ? [] : this.#enters(found.state, found.guestPaused, atMs);
  }

  #enters(state: string, guestPaused: boolean, atMs: number): readonly SagaNotice[] {
    if (state === this.#place.state) return [];
    this.#place = { state, guestPaused, replayed: false };
    return [enteredNotice(this.#of, this.#place, atMs)];
  }

  #progress({ progress, renewedAtMs }: SagaRow): readonly SagaNotice[] {
    if (!Array.isArray(progress) || typeof renewedAtMs !== 'number' || renewedAtMs === this.#renewedAtMs)
      return [];
    this.#renewedAtMs = renewedAtMs;
    return progress.filter(isProgress).map(each => {
      const seen = { ...each, bytesPerSecond: this.#rates.heard(each) };
      return progressNotice(this.#of, this.#place, renewedAtMs, seen);
    });
  }

  get #of() {
    const { row } = this.#parts;
    return { saga: row.id, vm: row.vm, ...definedOnly({ metadata: metadataOf(row) }) };
  }
}

/** Another version may have written something else. */
function isProgress(value: unknown): value is JobProgress {
  if (typeof value !== 'object' || value === null) return false;
  const { disk, job, status, currentBytes, totalBytes } = value as Partial<JobProgress>;
  const isText = [disk, job, status].every(member => typeof member === 'string');
  return isText && typeof currentBytes === 'number' && typeof totalBytes === 'number';
}
