/**
 * What each step is given: ways to a QEMU that is seen to be the saga's, closed where another process has the saga; what was
 * observed, and what the steps before it have come to; what the pause, the signals and the decision say. It runs no step and
 * writes no record.
 */
import { definedOnly, type ErrorRecord } from '../../errors.ts';
import type { Files } from '../../images/files.ts';
import type { StagePlan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import type { Json } from '../../qmp/transport.ts';
import { ALL_STEPS, type StepName } from '../../steps/all-steps.ts';
import { expectMark } from '../../steps/pause/mark-qemu.ts';
import type { StepContext } from '../../steps/step/step.ts';
import { Fence } from '../connection/fence.ts';
import type { PauseBound } from '../connection/pause-bound.ts';
import { BothNotes } from './both-notes.ts';
import type { Decision } from './decision.ts';
import type { HostParts, Identities } from './host-parts.ts';
import { MergeNotes } from './merge-notes.ts';
import type { Pause } from './pause.ts';
import type { Signals } from './signals.ts';
import type { Speed } from './speed.ts';

/** What else of a step host a step hears of. */
interface Host {
  readonly pause: Pause;
  readonly decision: Decision;
  readonly signals: Signals;
  readonly speed: Speed;
  readonly recordRun: (waits?: boolean) => Promise<void>;
}

export class Contexts {
  /** Of steps, and of undos by the keys of their records. */
  readonly outcomes = new Map<string, Json>();
  readonly failures = new Map<string, ErrorRecord>();
  readonly observed = new Map<StepName, Json>();
  readonly rounds = new Map<StepName, number>();
  readonly files: Files | null;
  readonly #parts: HostParts;
  readonly #fence: Fence;
  readonly #host: Host;
  readonly #mergeNotes: MergeNotes;
  readonly #bothNotes: BothNotes;
  /** To roll back: asked of this saga, or of its whole group. */
  readonly #abort: AbortSignal;
  /** The connection on which QEMU was last known to be the saga's. */
  #known: QmpClient | undefined;

  constructor(parts: HostParts, bound: PauseBound, host: Host) {
    this.#parts = parts;
    const { plan, isMarked, counted } = parts;
    const news = () => (plan.marksQemu && isMarked() ? counted.news(plan.token) : undefined);
    this.#fence = new Fence({ ...parts, news }, bound);
    this.files = parts.files === null ? null : this.#fence.files(parts.files);
    this.#host = host;
    this.#mergeNotes = new MergeNotes(parts);
    this.#bothNotes = new BothNotes(parts);
    const { abort } = host.signals;
    this.#abort = parts.barrier === null ? abort : AbortSignal.any([abort, parts.barrier.left]);
  }

  /** Throws as the connection does, and where QEMU is another one than the saga has marked. */
  readonly of = async (name: StepName, nothingSentYet = false): Promise<StepContext> => {
    const { plan, monitor, clock, openAgent, publish, report, barrier } = this.#parts;
    const { pause, decision, signals, speed, recordRun } = this.#host;
    const bare = await monitor.client();
    const qmp = this.#fence.client(bare);
    const marked = this.#parts.isMarked() && name !== 'markQemu' && name !== 'unmarkQemu';
    if (qmp !== this.#known && marked) await expectMark(qmp, plan);
    this.#known = qmp;
    const given = this.#parts.unplugged.given(plan, ALL_STEPS[name]);
    return {
      ...given,
      plan: withIdentities(given.plan, this.#parts.madeBefore()),
      qmp,
      jobs: this.#fence.jobs(bare, plan),
      files: this.files,
      clock,
      barrier,
      signals: { ...signals.ofSteps, abort: this.#abort },
      ...pause.ofSteps,
      observed: this.observed.get(name) ?? null,
      round: this.rounds.get(name) ?? 1,
      failure: this.failures.get(name),
      nothingSentYet,
      unlinked: null,
      decided: decision.isForward,
      speed: disk => speed.of(disk),
      ...definedOnly({ quota: this.#parts.quota }),
      outcomes: this.outcomes,
      recordSides: () => decision.recordSides(name, qmp),
      recordRun,
      ...this.#mergeNotes.ofSteps,
      ...this.#bothNotes.ofSteps,
      heldAgain: paused => this.outcomes.set('pauseGuest', paused),
      expectHeld: this.#fence.expectHeld,
      openAgent,
      publish,
      report,
    };
  };
}

function withIdentities(plan: StagePlan, made: Identities): StagePlan {
  return Object.keys(made).length === 0 ? plan : { ...plan, identities: { ...plan.identities, ...made } };
}
