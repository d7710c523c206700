/**
 * The time for which a saga keeps the guest paused: since when, and whether the guest was paused throughout. It stops a
 * guest that a third party resumed while the saga had no process; resuming it is a step's work.
 */
import { wasPausedByUs } from '../../guest/hold-guest.ts';
import { isLive } from '../../guest/migration.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { ActAndLook } from '../../qmp/jobs.ts';
import { retractSettling, writtenSince } from '../../steps/pause/mark-settling.ts';
import type { Step, StepContext } from '../../steps/step/step.ts';
import { LEAST_MS } from '../connection/pause-bound.ts';
import type { PastStep } from './history.ts';
import { RanOn, type Side, type Told } from './ran-on.ts';

export class Pause {
  readonly #clock: Clock;
  readonly #maxBlackoutMs: number;
  #isOpen = false;
  /** Whether a process before this one had begun the pause: then any step in it may have been begun too. */
  #isResumed = false;
  /** Whether the guest was looked at since the saga came back into a pause that an earlier process had begun. */
  #reentered = true;
  /** `unsure`: it ran when this process came back to the pause, which may never have begun. */
  #guest: 'still' | 'ran' | 'unsure' = 'still';
  /** On which images it ran then, as its events say. */
  #ranOn = RanOn.fromTheStop();
  #openedMs = 0;
  /** Whether it is known how long this pause was. */
  #isMeasured = false;
  /**
   * Whether every mirror was seen to hold all that its source holds, in this pause; `apart`: that cannot be told any
   * more.
   */
  #seen: 'alike' | 'apart' | 'unknown' = 'unknown';
  #mirrorsEnd: Promise<ActAndLook> | undefined;
  /** What the guest had written when it was stopped, as QEMU counts. */
  #writes: number | undefined;
  /** The jobs that were seen ready, in this process. */
  readonly #ready = new Set<string>();
  /** The longest time that the guest was paused for a switch, or that a snapshot's transaction took; milliseconds. */
  blackoutMs: number | null = null;

  /** What steps ask of it and tell it. */
  readonly ofSteps = {
    pausedThroughout: () => this.pausedThroughout(),
    pauseLeftMs: () => this.#leftMs,
    pauseBegins: () => {
      this.#openedMs = this.#clock.now();
      // Who has stopped and resumed the guest while something else was waited for has done so in front of the pause.
      if (this.#isResumed) return;
      this.#guest = 'still';
      this.#ranOn = RanOn.fromTheStop();
    },
    pauseIsOver: () => this.#measureOnce(),
    sideGoesTo: (side: Side) => this.#ranOn.goesTo(side),
    sideIs: (side: Told) => this.#ranOn.is(side),
    ranBeforeSwitch: () => this.#ranOn.has('old'),
    ranBehindSwitch: () => this.#ranOn.behind,
    likeness: () => (this.pausedThroughout() ? this.#seen : 'apart'),
    sawAlike: () => {
      if (this.#isOpen) this.#seen = 'alike';
    },
    endsMirrors: (asked: Promise<ActAndLook>) => {
      asked.catch(() => undefined); // for who takes it; a rollback asks QEMU anew
      this.#mirrorsEnd = asked;
    },
    sawWrites: (writes: number) => {
      this.#writes = writes;
    },
    writesAtStop: () => this.#writes,
    takeMirrorsEnd: () => {
      const asked = this.#mirrorsEnd;
      this.#mirrorsEnd = undefined;
      return asked;
    },
    sawReady: ({ names }: DiskPlan) => void this.#ready.add(names.job),
    wasReady: ({ names }: DiskPlan) => this.#ready.has(names.job),
  } as const;

  constructor(clock: Clock, maxBlackoutMs: number) {
    this.#clock = clock;
    this.#maxBlackoutMs = maxBlackoutMs;
  }

  /** For how long a write may wait for the journal: what is left of the pause, but long enough to be tried at all, also when it is over. */
  get within(): { readonly withinMs?: number } {
    if (!this.#isOpen) return {};
    return { withinMs: Math.max(LEAST_MS, this.#leftMs) };
  }

  get #leftMs(): number {
    if (!this.#isOpen) return this.#maxBlackoutMs;
    return Math.max(0, this.#openedMs + this.#maxBlackoutMs - this.#clock.now());
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get isResumed(): boolean {
    return this.#isOpen && this.#isResumed;
  }

  pausedThroughout(): boolean {
    return this.#guest === 'still';
  }

  /** A third party has resumed the guest; returns whether the saga had paused it. */
  guestRan(): boolean {
    if (this.#isOpen) this.#guest = 'ran';
    return this.#isOpen;
  }

  /** It does so now. */
  guestRuns(): void {
    if (this.guestRan()) this.#ranOn.resumed();
  }

  guestStops(): void {
    this.#ranOn.stopped();
  }

  /** `past`: as an earlier process has left it. `wasRescued`: that may have resumed the guest from the middle of the pause. */
  open(past: Pick<PastStep, 'ranBefore'> | undefined, wasRescued: boolean): void {
    const inEarlierProcess = past !== undefined;
    this.#isOpen = true;
    this.#isResumed = inEarlierProcess;
    this.#seen = inEarlierProcess && wasRescued ? 'apart' : 'unknown';
    this.#writes = undefined;
    this.#reentered = !inEarlierProcess;
    this.#guest = 'still';
    this.#ranOn = past === undefined ? RanOn.fromTheStop() : RanOn.resumed(past.ranBefore);
    this.#isMeasured = false;
    this.#openedMs = this.#clock.now();
  }

  close(): void {
    if (this.#isOpen) this.#measureOnce();
    this.#isOpen = false;
    this.#seen = 'unknown';
    this.#writes = undefined;
    this.#mirrorsEnd = undefined;
  }

  #measureOnce(): void {
    if (!this.#isMeasured) this.measure(this.#openedMs);
    this.#isMeasured = true;
  }

  measure(sinceMs: number): void {
    this.blackoutMs = Math.max(this.blackoutMs ?? 0, this.#clock.now() - sinceMs);
  }

  /**
   * A saga whose process died between stopping and resuming the guest continues with a paused guest. If a third party
   * has resumed it, or let it back into S3, it is stopped again, and the steps are told: what it wrote may not be on the new side. If the
   * outcome of the pause itself is unknown, the step after it tells: nothing of that is there, so the guest was not
   * held. `record` first makes durable that the guest ran, so that the next process resumes it.
   */
  async reenter(
    step: Step,
    { qmp, plan, outcomes }: Pick<StepContext, 'qmp' | 'plan' | 'outcomes'>,
    record: () => Promise<void>,
  ): Promise<void> {
    if (!this.#isOpen || this.#reentered) return;
    const status = await qmp.execute('query-status');
    // Where the pause had held a guest in S3 it is not found in S3: it may wake up at any time now. QEMU before 9.0 holds none.
    const pause = outcomes.get('pauseGuest');
    const isFree = status.running || (isLive(status) && (pause === undefined || wasPausedByUs(pause)));
    this.#reentered = true;
    if (!isFree) {
      // Who has resumed it meanwhile, and stopped it, has had it write to the side that it was on.
      const { writes, hasRun } = await writtenSince({ qmp, plan });
      this.#writes = writes;
      if (hasRun) await this.#ranUnseen({ qmp, plan }, record);
      return;
    }
    // The next process finds the guest paused again, and must not take both sides of a disk for the same by that mark.
    await retractSettling({ qmp, plan });
    this.#guest = step.pause === 'begins' ? 'unsure' : 'ran';
    if (isEdge(step)) return;
    this.#ranOn.resumed();
    await record();
    await qmp.execute('stop');
  }

  /** It ran while the saga had no process, and is paused again: at its end it has to run. */
  async #ranUnseen(at: Pick<StepContext, 'qmp' | 'plan'>, record: () => Promise<void>): Promise<void> {
    await retractSettling(at);
    this.#guest = 'ran';
    await record();
  }

  /** What the first step after a pause of unknown end has found: `nothingSentYet` when nothing of it was there. */
  found(step: Step, nothingSentYet: boolean): void {
    if (isEdge(step) || step.pause === 'outlives') return;
    if (this.#guest === 'unsure') this.#guest = nothingSentYet ? 'still' : 'ran';
  }
}

/** Whether it begins the pause, or ends it. */
export function isEdge({ pause }: Step): boolean {
  return pause === 'begins' || pause === 'ends';
}
