/**
 * What a saga knows of disks that have left its guest, from its records and from QEMU. It is asked when a step has failed;
 * from then on steps are given the other disks only. It says which image such a disk was on last, and which must be kept.
 */
import { BlocksagaError } from '../../errors.ts';
import { plainName, readGraph } from '../../guest/graph.ts';
import {
  findUnplugged,
  releaseUnplugged,
  type UnpluggedDisk,
  unlessThereAreNone,
  unplugged,
} from '../../guest/unplugged.ts';
import type { JournalRecord, NewRecord } from '../../journal/journal.ts';
import { type DiskPlan, hasMirrors, type StagePlan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';
import type { StepName } from '../../steps/all-steps.ts';
import type { Step, StepContext } from '../../steps/step/step.ts';

/** What it stands under in the journal: no step of a machine, and of every stage. */
export const UNPLUGGED = 'unplugged';

/** How far the stage had come whose step has met a disk that is not there. */
export interface Stand {
  readonly plan: StagePlan;
  readonly decided: boolean;
  /** Whether the guest is paused by the saga and has been since: both sides of each disk hold the same then. */
  readonly isStill: boolean;
  /** Whether it is a step's undo that has met it. */
  readonly isUndoing: boolean;
  hasBegun(step: StepName): boolean;
  /** Whether the step that takes the snapshot has come to its end, and is not undone. */
  readonly hasTaken: boolean;
  /**
   * That of the stage on whose sides the disks are, where it is another one: of the one before, until that has come to its end, or of
   * the one behind, once that has decided.
   */
  readonly sidesOf?: Stand;
}

/** What is known around one attempt of a step. */
interface Attempt {
  /** Whether the saga continues without a disk, as behind its decision and in its rollback; else it rolls back. */
  continues(): boolean;
  /** Whether an attempt of this step may have taken effect before, in this process or an earlier one. */
  readonly mayBeThere: boolean;
  stand(): Stand;
  look(): Promise<StepContext>;
}

interface Found {
  readonly disk: DiskPlan;
  readonly last: UnpluggedDisk;
}

function unlessKnown(error: unknown): readonly Found[] {
  if (error instanceof BlocksagaError) return [];
  throw error;
}

export class Unplugged {
  readonly #known = new Map<number, UnpluggedDisk>();
  readonly #write: (record: NewRecord) => Promise<void>;
  /** Those of which nothing is left in QEMU, as far as this process has seen to it. */
  readonly #released = new Set<string>();
  /** Those that were waited for: what QEMU has not let go of then, such as below a filter of an administrator's, it keeps. */
  readonly #waitedFor = new Set<string>();

  constructor(records: readonly JournalRecord[], write: (record: NewRecord) => Promise<void>) {
    for (const disk of unpluggedOf(records)) this.#known.set(disk.index, disk);
    this.#write = write;
  }

  /** The plan as a step is given it, and what has left. */
  given(plan: StagePlan, { withoutDevices }: Pick<Step, 'withoutDevices'>) {
    return { plan: withoutDevices ? plan : this.without(plan), unplugged: [...this.#known.values()] };
  }

  /** A plan without the disks that have left. */
  without<P extends StagePlan>(plan: P): P {
    if (this.#known.size === 0) return plan;
    return { ...plan, disks: plan.disks.filter(({ index }) => !this.#known.has(index)) };
  }

  /**
   * Runs one attempt of a step. Where it fails, and a disk is not there any more, throws DISK_UNPLUGGED instead:
   * retryable where the saga continues without it.
   */
  async during<T>(act: () => Promise<T>, { continues, mayBeThere, stand, look }: Attempt): Promise<T> {
    if (this.#known.size > 0) await this.#release(await look(), stand());
    try {
      return await act();
    } catch (error) {
      if (!mayBeUnplugged(error)) throw error;
      // A look that is refused tells nothing: then the step's own failure stands.
      const isRefused = !mayBeThere && error.effect === 'notApplied';
      const found = await this.#look(stand(), look, isRefused).catch(unlessKnown);
      const left = await this.#note(found);
      if (left === undefined) throw error;
      throw unplugged(left, continues() && !this.#isForNothing(stand(), found), error);
    }
  }

  /** Why a step that was to come before the decision is not begun: a process before this one has noticed a disk that left. */
  whyNotBegin(name: StepName, step: Step, { disks }: StagePlan): BlocksagaError | undefined {
    if (!('undo' in step) && !WAITS.has(name)) return undefined;
    const left = disks.find(({ index }) => this.#known.has(index));
    return left === undefined ? undefined : unplugged(left);
  }

  /** Whether it would commit without any disk changed: all have left, from their old images, before the decision took effect. */
  #isForNothing(stand: Stand, found: readonly Found[]): boolean {
    const { plan, isUndoing } = stand;
    if (isUndoing || plan.operation !== 'snapshot' || this.without(plan).disks.length > 0) return false;
    return found.every(({ disk, last }) => last.file === plainName(disk.file) && last.keeps.length === 0);
  }

  /** More of them, with where each was last; `isRefused` where QEMU has refused what the step was to do, and did nothing. */
  async #look(stand: Stand, look: Attempt['look'], isRefused = false): Promise<readonly Found[]> {
    const { qmp, jobs } = await look();
    const told = { ...(stand.sidesOf ?? stand), isUndoing: stand.isUndoing };
    const left = await findUnplugged(qmp, this.without(told.plan).disks);
    if (left.length === 0) return [];
    const table = await jobs.list(left.map(({ names }) => names.job)).catch(unlessThereAreNone);
    const areOnOverlays = await areSnapshotsTaken(qmp, told, left, isRefused);
    return left.map(disk => {
      const isFollowed = FOLLOWED.has(table?.get(disk.names.job)?.status ?? '');
      return { disk, last: lastOn(disk, told, isFollowed, areOnOverlays) };
    });
  }

  /** Writes down what was found, and gives the first. */
  async #note(found: readonly Found[]): Promise<DiskPlan | undefined> {
    for (const { last } of found) {
      this.#known.set(last.index, last);
      await this.#write(record(last));
    }
    return found[0]?.disk;
  }

  /** Closes what the saga has of those that left unseen at its very end, and of all. */
  async end(stand: Stand, look: Attempt['look']): Promise<void> {
    await this.#note(await this.#look(stand, look));
    await this.#release(await look(), stand);
  }

  /** Closes what the saga still has of them in QEMU; where the guest is paused, what takes longer waits for a later step. */
  async #release({ qmp, jobs }: StepContext, { plan: { disks }, isStill }: Stand): Promise<void> {
    const held = disks.filter(({ index, names }) => this.#known.has(index) && !this.#released.has(names.job));
    if (held.length === 0) return;
    const mayWait = !isStill && held.some(({ names }) => !this.#waitedFor.has(names.job));
    if (mayWait) for (const { names } of held) this.#waitedFor.add(names.job);
    if (!(await releaseUnplugged(qmp, jobs, held, mayWait ? LETTING_GO_MS : 0))) return;
    for (const { names } of held) this.#released.add(names.job);
  }
}

/** How long a device may take to leave when the guest's last requests are answered. */
const LETTING_GO_MS = 3_000;

/** A job that is there, and has not come to its end: the guest has written to its source alone. */
const FOLLOWED: ReadonlySet<string> = new Set([
  ...['created', 'running', 'paused', 'ready', 'standby', 'waiting', 'pending'],
]);

/** Which image a disk was on when it left; where that cannot be said for sure, the other one is kept. */
function lastOn(
  disk: DiskPlan,
  stand: Stand,
  isFollowed: boolean,
  areOnOverlays: boolean | undefined,
): UnpluggedDisk {
  const { plan, decided, isStill, isUndoing, hasBegun } = stand;
  const { index, image } = disk;
  const source = { index, file: plainName(disk.file), format: disk.driver };
  const target = { index, file: plainName(image.file), format: image.driver };
  const isOn = (file: typeof source) => ({ ...file, keeps: [] });
  if (plan.operation === 'snapshot') {
    const isOne = plan.method === 'sequential';
    if (decided && !isUndoing && (isOne || areOnOverlays === true))
      return { ...target, keeps: [target.file] };
    if (!SNAPSHOTS.some(hasBegun) || (isOne ? isStill : areOnOverlays === false)) return isOn(source);
    return { ...source, keeps: [target.file] };
  }
  if ('rewrites' in plan) return isOn(source);
  const isSwitched = decided && !(hasMirrors(plan) && plan.finish === 'clone');
  if (isSwitched) return isOn(target);
  const mayHoldMore =
    plan.operation === 'revert'
      ? hasBegun(plan.strategy === 'rebase' ? 'rebaseOverlays' : 'reopenFilters')
      : hasBegun('mirrorDisks');
  return { ...source, keeps: mayHoldMore && !isFollowed && !isStill ? [target.file] : [] };
}

/**
 * Whether the overlays are on their disks, which QEMU puts on all or on none: told by the disks that are left, or by the overlays
 * of those that have left; undefined where neither can tell, as in an undo, which commits them one by one.
 */
async function areSnapshotsTaken(
  qmp: StepContext['qmp'],
  { plan, isUndoing, hasTaken }: Stand,
  left: readonly DiskPlan[],
  isRefused: boolean,
): Promise<boolean | undefined> {
  if (plan.operation !== 'snapshot' || isUndoing) return undefined;
  if (hasTaken) return true;
  const graph = await readGraph(qmp);
  const others = plan.disks.filter(disk => !left.includes(disk) && graph.front(disk) !== undefined);
  // On their overlays, or on what those were mirrored to since.
  if (others.length > 0) return others.some(disk => graph.front(disk) !== disk.node);
  const overlays = left.map(({ names }) => names.image).filter(name => graph.node(name) !== undefined);
  return overlays.length === 0 ? (isRefused ? false : undefined) : haveBacking(qmp, overlays);
}

/** Whether nodes stand on others. A flat list does not say so. */
async function haveBacking(qmp: StepContext['qmp'], names: readonly string[]): Promise<boolean> {
  const nodes = await qmp.execute('query-named-block-nodes');
  const found = nodes.filter(node => names.includes(node['node-name'] ?? ''));
  return found.some(node => node.backing_file_depth > 0);
}

export const SNAPSHOTS: readonly StepName[] = [
  'takeSnapshot',
  'takeSnapshotSync',
  'takeSnapshotsOneByOne',
  'takeSnapshotInPause',
];

const record = (found: UnpluggedDisk): NewRecord => ({
  kind: 'outcome',
  step: UNPLUGGED,
  body: { value: { ...found } },
});

/** The disks that a saga's records say have left. */
export function unpluggedOf(records: readonly JournalRecord[]): readonly UnpluggedDisk[] {
  return records.flatMap(({ kind, step, body }) => {
    if (kind !== 'outcome' || step !== UNPLUGGED) return [];
    const { value } = body as { readonly value?: Json };
    return value === undefined ? [] : [value as object as UnpluggedDisk];
  });
}

/** Steps without an undo that come before a decision. */
const WAITS: ReadonlySet<StepName> = new Set<StepName>(['awaitSignal', 'awaitConvergence']);

/** Failures for which a disk that has left may be the reason. */
function mayBeUnplugged(error: unknown): error is BlocksagaError {
  return error instanceof BlocksagaError && REASONS.has(error.code);
}

const REASONS: ReadonlySet<string> = new Set([
  ...['QMP_COMMAND', 'VERIFY_FAILED', 'FOREIGN', 'JOB_FAILED', 'JOB_VANISHED', 'DISK_UNPLUGGED'],
]);
