/**
 * The stages of a saga at work: one step host each, over its own plan and its own part of the journal, so that a step knows
 * nothing of stages. Which step comes next, and in which stage, is the machine's.
 */
import { BlocksagaError, invariant } from '../../errors.ts';
import { member } from '../../journal/body.ts';
import type { Journal, JournalRecord, Lease, NewRecord } from '../../journal/journal.ts';
import { ownRecords } from '../../journal/taken-over.ts';
import type { StepActorName, StepOutput } from '../../machines/saga-setup.ts';
import type { Plan } from '../../plan/plan.ts';
import { isStep, type StepName } from '../../steps/all-steps.ts';
import { claimsIn } from '../../steps/prepare/expect-names.ts';
import { keyOf, type StageName, splitKey, stagesOf, UNDO } from '../../steps/stages.ts';
import { type RetryPolicy, retry, WHILE_REACHABLE } from '../connection/retry.ts';
import { History } from './history.ts';
import type { HostParts, Identities, StageJournal } from './host-parts.ts';
import { SEEN_ON } from './seen-on.ts';
import type { SignalName } from './signals.ts';
import { expectSpeed } from './speed.ts';
import { StepHost } from './step-host.ts';
import { UNPLUGGED, Unplugged } from './unplugged.ts';
import { WATCHED } from './watched.ts';

type StagesParts = Omit<
  HostParts,
  'plan' | 'journal' | 'history' | 'isMarked' | 'unplugged' | 'sidesOf' | 'madeBefore'
> & {
  readonly plan: Plan;
  readonly journal: Journal;
};

/** Who waits for the result waits for this. */
const AT_THE_END: RetryPolicy = { retriesMax: 2, firstDelayMs: 100, factor: 2 };

export class Stages {
  readonly #parts: StagesParts;
  readonly #hosts: ReadonlyMap<StageName | null, StepHost>;
  /** The stage whose step was asked for last: only that can hold the guest. */
  #last: StepHost | undefined;
  #isMarked = false;
  /** Whether the saga was asked to switch or to roll back, or has waited for that already: it does not wait then. */
  readonly wasAsked: boolean;

  constructor(parts: StagesParts) {
    this.#parts = parts;
    const records = parts.journal.records(parts.lease.saga);
    const histories = stagesOf(parts.plan).map(({ name }) => historyOf(records, name));
    this.wasAsked = histories.some(
      ({ asked, waited }) => asked.abort || asked.pivot || asked.keepCopies || waited,
    );
    const unplugged = new Unplugged(records, record => this.note(record));
    this.#hosts = new Map(
      stagesOf(parts.plan).map(({ name, plan }, at) => {
        const history = histories[at] ?? historyOf(records, name);
        const journal = stageJournal(parts.journal, name);
        const isMarked = () => this.#isMarked;
        const sidesOf = () =>
          name === 'mirror'
            ? this.#hosts.get('snapshot')?.attempts.standOfOpen()
            : this.#hosts.get('mirror')?.attempts.standOfDecided();
        let made: Identities | undefined;
        const madeBefore = () => {
          if (name === 'mirror') made ??= madeBy(parts, 'snapshot');
          return made ?? {};
        };
        const own = { plan, history, journal, isMarked, unplugged, sidesOf, madeBefore };
        return [name, new StepHost({ ...parts, ...own })];
      }),
    );
  }

  /** What the machine asks for under this name: a step, the undo of one, or that the guest is seen to. */
  async act(name: StepActorName): Promise<StepOutput> {
    if (name === 'rescueGuest' || name.startsWith(UNDO)) this.leaveGroup();
    if (name === 'rescueGuest') return this.rescueGuest();
    const { stage, step, isUndo } = actOf(name);
    const host = this.#hosts.get(stage);
    invariant(host !== undefined, `this saga has a stage for ${name}`);
    this.#last = host;
    const output = await (isUndo ? host.undo(step) : host.run(step));
    if (step === 'markQemu') this.#isMarked = !isUndo;
    return output;
  }

  /** The others need not wait for it: it rolls back, or has ended. Says nothing where the group has decided. */
  leaveGroup(): void {
    this.#parts.barrier?.leave(`saga ${this.#parts.lease.saga} has left it`);
  }

  rescueGuest(): Promise<StepOutput> {
    return this.#last?.rescueGuest() ?? Promise.resolve({ abort: false });
  }

  /**
   * Closes the nodes of disks that have left the guest at the very end, which only this saga knows: no step follows that would, so that what
   * has failed is tried again. What QEMU refuses stays, and is in the result.
   */
  async endUnplugged(isBack: boolean): Promise<void> {
    try {
      // The last stage, which rolls back first, says where the disks are.
      const hosts = [...this.#hosts.values()];
      for (const host of isBack ? hosts : hosts.reverse())
        await retry(AT_THE_END, this.#parts.clock, () => host.attempts.end(), WHILE_REACHABLE);
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
    }
  }

  /** Whether the step that was asked for last is given back from the journal. */
  get isReplaying(): boolean {
    return this.#last?.isReplaying ?? false;
  }

  /** Whether the saga is in its pause. */
  get isStill(): boolean {
    return [...this.#hosts.values()].some(host => host.speed.isStill);
  }

  async ask(signal: SignalName, written: Promise<void>): Promise<void> {
    await Promise.all([...this.#hosts].map(([stage, host]) => host.ask(heardBy(stage, signal), written)));
  }

  /** Limits the jobs of the stage that has any. Throws as `Speed.set`. */
  async setSpeed(bytesPerSecond: number): Promise<void> {
    expectSpeed(this.#parts.plan, bytesPerSecond);
    const stage = stagesOf(this.#parts.plan).find(({ plan }) => 'speed' in plan);
    await this.#hosts.get(stage?.name ?? null)?.speed.set(bytesPerSecond);
  }

  /** Writes a record that is no stage's; while the guest is paused nothing waits for it. */
  note(record: NewRecord): Promise<void> {
    return this.#parts.journal.append(this.#parts.lease, [record], { durable: !this.isStill });
  }

  guestRuns(): void {
    for (const host of this.#hosts.values()) host.guestRuns();
    this.diskChanged();
  }

  guestStops(): void {
    for (const host of this.#hosts.values()) host.guestStops();
  }

  /** A job has switched a disk, or has left it, or the guest runs. */
  diskChanged(): void {
    for (const host of this.#hosts.values()) host.overtaken.changed();
  }

  get blackoutMs(): number | null {
    const known = [...this.#hosts.values()].flatMap(host => host.blackoutMs() ?? []);
    return known.length === 0 ? null : Math.max(...known);
  }
}

/** The files that a stage has made; undefined before it has. */
function madeBy({ plan, journal, lease }: StagesParts, stage: StageName): Identities | undefined {
  const records = recordsOfStage(journal.records(lease.saga), stage);
  const claimed = records.findLast(({ kind, step }) => kind === 'outcome' && step === 'claimFiles');
  if (claimed === undefined) return undefined;
  const claims = claimsIn(member(claimed.body, 'value'));
  const disks = stagesOf(plan).flatMap(each => (each.name === stage ? each.plan.disks : []));
  return Object.fromEntries(
    disks.flatMap(({ index, image }) => {
      const claim = claims.get(index);
      return claim === undefined ? [] : [[image.file, claim]];
    }),
  );
}

/** Which step of which stage is asked for, or the undo of it. */
function actOf(name: string): {
  readonly stage: StageName | null;
  readonly step: StepName;
  readonly isUndo: boolean;
} {
  const key = splitKey(name);
  const isUndo = key.step.startsWith(UNDO);
  const step = isUndo ? key.step.slice(UNDO.length) : key.step;
  invariant(isStep(step), `${name} is a step, or the undo of one`);
  return { stage: key.stage, step, isUndo };
}

const OF_EVERY_STAGE: ReadonlySet<string> = new Set([WATCHED, UNPLUGGED, SEEN_ON]);

/** The records of one stage as if it were a saga of its own. */
export function recordsOfStage(
  records: readonly JournalRecord[],
  stage: StageName | null,
): readonly JournalRecord[] {
  if (stage === null) return records;
  return records.flatMap(record => {
    if (record.kind === 'signal') return { ...record, step: heardBy(stage, record.step) };
    if (OF_EVERY_STAGE.has(record.step)) return record;
    const key = splitKey(record.step);
    return key.stage === stage ? { ...record, step: key.step } : [];
  });
}

/** What was decided, begun and ended in one stage. */
export function historyOf(records: readonly JournalRecord[], stage: StageName | null): History {
  return new History(recordsOfStage(records, stage), ownRecords(records).length > 0);
}

/** For the mirrors it is an abort when the snapshot is to stay without them. */
function heardBy<S extends string>(stage: StageName | null, signal: S): S | 'abort' {
  return stage === 'mirror' && signal === 'keepSnapshot' ? 'abort' : signal;
}

/** The journal as one stage writes to it: every record says whose it is. */
function stageJournal(journal: Journal, stage: StageName | null): StageJournal {
  if (stage === null) return journal;
  const named = (records: Parameters<Journal['append']>[1]) =>
    records.map(record => ({ ...record, step: keyOf(stage, record.step) }));
  return {
    append: (lease: Lease, records, options) => journal.append(lease, named(records), options),
    appendSync: (lease, records, options) => journal.appendSync(lease, named(records), options),
    confirm: lease => journal.confirm(lease),
  };
}
