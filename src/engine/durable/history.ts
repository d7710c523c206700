/**
 * The records of a saga as the sequence of its steps, to be replayed: the outcome of a step in an earlier process of
 * the saga, or that it had begun. It only reads.
 */
import { BlocksagaError, type ErrorRecord, withEffect } from '../../errors.ts';
import { signalValue } from '../../journal/asked.ts';
import { member } from '../../journal/body.ts';
import type { JournalRecord, NewRecord } from '../../journal/journal.ts';
import type { Json } from '../../qmp/transport.ts';
import type { Step } from '../../steps/step/step.ts';
import { mergedElsewhereIn } from './merged-elsewhere.ts';
import { ranOnBothIn } from './ran-on-both.ts';
import { EXCLUDES, SIGNALS, type SignalName } from './signals.ts';

/** The record that a saga was stranded; it is no step that a replay goes through. */
export const RESCUE = 'rescueGuest';

/** The record that a running guest was stopped again when the saga came back into its pause; no step either. */
export const REENTRY = 'reenterWindow';

/** What it says where it was on its old images that the guest ran then. */
const ON_OLD = 'onOld';

/** How a step of an earlier process ended. */
export type Settled =
  | { readonly ok: true; readonly value: Json; readonly abort: boolean }
  | { readonly ok: false; readonly error: ErrorRecord };

/** One run of a step. `settled` is undefined when its outcome is unknown. */
export interface PastStep {
  readonly step: string;
  readonly observed: Json;
  settled: Settled | undefined;
  /** Whether the guest was stopped again after this step, so that the saga has to resume it. */
  reheld: boolean;
  /** Of the pause: whether the guest is known to have run on its old images while its disks were being switched. */
  ranBefore: boolean;
}

/** The signals besides those of the machines: how fast the jobs may copy, and that something from elsewhere was heard. */
export const SET_SPEED = 'setSpeed';
export const HEARD = 'heard';

export class History {
  readonly #steps: PastStep[] = [];
  #next = 0;
  /** Whether the saga had been begun before. */
  readonly resumed: boolean;
  /** What the saga was asked, and no step has heard of yet. */
  readonly asked: Record<SignalName, boolean> = {
    abort: false,
    pivot: false,
    keepCopies: false,
    keepSnapshot: false,
  };
  /** Whether the saga has waited at READY already, to the end of its wait: it does not wait there again. */
  waited = false;
  /** The speed that was asked for last, in bytes per second; null before the first request for one. */
  speed: number | null = null;
  /** The last decision that was written. */
  decision: 'forward' | 'back' | undefined;
  /** Whether the saga was stranded, and its guest may have been resumed from the middle of a pause. */
  rescued = false;
  /** Before it was stranded last. */
  #wasRescued = false;
  /** Whether it was written behind that on which side each disk is. */
  sidesTold = false;
  readonly mergedElsewhere: ReadonlySet<string>;
  readonly ranOnBoth: ReadonlySet<number>;

  /** `resumed` where the records are those of one stage, and another may have been begun. */
  constructor(records: readonly JournalRecord[], resumed = records.length > 0) {
    this.resumed = resumed;
    this.mergedElsewhere = mergedElsewhereIn(records);
    this.ranOnBoth = ranOnBothIn(records);
    for (const record of records) this.#read(record);
  }

  /** The next run in the record, which must be of this step; undefined when the record is used up. */
  take(step: string): PastStep | undefined {
    const past = this.#steps[this.#next];
    if (past === undefined) return undefined;
    if (past.step !== step) {
      throw new BlocksagaError(
        'JOURNAL',
        `the journal says that ${past.step} came next, but the machine asks for ${step}: it was written by another version`,
      );
    }
    this.#next += 1;
    return past;
  }

  #hear(signal: SignalName): void {
    const other = EXCLUDES[signal];
    if (other === undefined || !this.asked[other]) this.asked[signal] = true;
  }

  #read({ kind, step, body }: JournalRecord): void {
    if (kind === 'intent' && step === RESCUE) {
      // The step before had failed for good, and the saga could do no more. This process tries it again.
      this.#wasRescued = this.rescued;
      this.rescued = true;
      const stranding = this.#steps.at(-1);
      if (stranding !== undefined) stranding.settled = undefined;
    } else if (kind === 'intent' && step === REENTRY) {
      const pause = this.#steps.findLast(each => each.step === 'pauseGuest');
      if (pause !== undefined) pause.reheld = true;
      if (pause !== undefined && member(body, 'observed') === ON_OLD) pause.ranBefore = true;
    } else if (kind === 'intent') {
      const last = this.#steps.at(-1);
      // It begins again where its first look had failed.
      if (last?.step === step && last.settled === undefined) this.#steps.pop();
      this.#steps.push({
        step,
        observed: member(body, 'observed'),
        settled: undefined,
        reheld: false,
        ranBefore: false,
      });
    } else if (kind === 'outcome' && step === RESCUE) {
      this.rescued = this.#wasRescued;
    } else if (kind === 'outcome') {
      const past = this.#steps.findLast(each => each.step === step);
      if (past !== undefined) past.settled = readSettled(body);
      if (step !== 'awaitSignal') return;
      this.asked.pivot = false;
      this.asked.keepCopies = false;
      this.waited = true;
    } else if (kind === 'signal') {
      if (isSignal(step)) this.#hear(step);
      if (step === SET_SPEED) this.speed = Number(signalValue(body));
    } else if (kind === 'decision') {
      this.sidesTold = member(body, 'verdict') === 'asIs';
      if (!this.sidesTold) this.decision = member(body, 'verdict') === 'forward' ? 'forward' : 'back';
    }
  }
}

function isSignal(step: string): step is SignalName {
  return (SIGNALS as readonly string[]).includes(step);
}

export const intent = (step: string, observed: Json): NewRecord => ({
  kind: 'intent',
  step,
  body: { observed },
});

export const outcome = (step: string, value: Json, abort: boolean): NewRecord => ({
  kind: 'outcome',
  step,
  body: { value, abort },
});

/** A third party has resumed the guest in front of the switch, on its old images. */
export const ranOnOld = (): NewRecord => intent(REENTRY, ON_OLD);

/** Whether it was so in the last pause that these records tell of. */
export function ranOnOldIn(records: readonly JournalRecord[]): boolean {
  const last = records.findLastIndex(({ kind, step }) => kind === 'intent' && step === 'pauseGuest');
  return records
    .slice(last + 1)
    .some(
      ({ kind, step, body }) => kind === 'intent' && step === REENTRY && member(body, 'observed') === ON_OLD,
    );
}

/** Of a stranded saga whose guest was not resumed, as its disks were not where that may be: it is in its pause still. */
export const staysPaused = (): NewRecord => outcome(RESCUE, { guest: 'paused' }, false);

export const failedOutcome = (step: string, error: ErrorRecord): NewRecord => ({
  kind: 'outcome',
  step,
  body: { error: error as object as Json },
});

/** What was asked from elsewhere, by its seq, has been heard, or refused. */
export const heard = (seq: number, error: ErrorRecord | null): NewRecord => ({
  kind: 'signal',
  step: HEARD,
  body: { seq, error: error as object | null as Json },
});

export const setSpeed = (bytesPerSecond: number): NewRecord => ({
  kind: 'signal',
  step: SET_SPEED,
  body: { value: bytesPerSecond },
});

export const decision = (step: string, direction: 'forward' | 'back'): NewRecord => ({
  kind: 'decision',
  step,
  body: { verdict: direction },
});

/** The guest is resumed with the disks of these indexes on their new images and the others on their old ones. */
export const sides = (step: string, onImage: readonly number[]): NewRecord => ({
  kind: 'decision',
  step,
  body: { verdict: 'asIs', onImage },
});

/** Where only the look failed in an earlier process, nothing was touched yet, and the step begins again. */
export function isSeen(past: PastStep | undefined, look: Step['observe']): past is PastStep {
  return past !== undefined && (past.settled !== undefined || past.observed !== null || look === undefined);
}

function readSettled(body: Json): Settled {
  const error = member(body, 'error');
  if (error !== null) return { ok: false, error: withEffect(error as unknown as ErrorRecord) };
  return { ok: true, value: member(body, 'value'), abort: member(body, 'abort') === true };
}
