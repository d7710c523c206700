/**
 * A step is one effect on QEMU or on files, with its undo beside it. The engine decides when a step runs, what is
 * written down before and after, and how often it is tried; a step only knows its effect. It reaches time, the journal and
 * what other steps have come to through its context alone.
 */
import type { ErrorRecord } from '../../errors.ts';
import type { Paused } from '../../guest/hold-guest.ts';
import type { UnpluggedDisk } from '../../guest/unplugged.ts';
import type { Files } from '../../images/files.ts';
import type { DefinedDisk } from '../../plan/definition.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { GuestAgent } from '../../qmp/guest-agent.ts';
import type { ActAndLook, Jobs } from '../../qmp/jobs.ts';
import type { Json } from '../../qmp/transport.ts';
import type { Barrier } from './barrier.ts';
import type { Quota } from './quota.ts';

/** One effect: it has an undo, or says why it needs none. */
export type Step<P extends Plan = Plan> = Reversible<P> | Irreversible<P>;

interface StepBase<P extends Plan> {
  readonly name: string;
  /** Looks, without changing anything, at what `undo` will have to know; durable with the step's intent. */
  observe?(context: StepContext<P>): Promise<Json>;
  /** Asks QEMU and the files on which disks the effect is there. Every attempt but a first one begins with it. */
  probe(context: StepContext<P>): Promise<Probe>;
  /** Brings the effect about on the disks where it is absent. Waits until all have succeeded or failed, then throws the first error. */
  do(context: StepContext<P>, todo: readonly DiskPlan[]): Promise<Json>;
  /** The outcome to record where a probe finds the effect on all disks, so that `do` is not needed; null unless said. */
  adopt?(context: StepContext<P>): Promise<Json>;
  /** Throws when the effect is not there after all; for steps whose replies do not say so by themselves. */
  verify?(context: StepContext<P>): Promise<void>;
  /**
   * When the saga's decision is written: with this step's intent, while its commands are under way, or when they have
   * succeeded. After it the saga only rolls forward, unless this very step fails and its undo revokes the decision.
   */
  readonly decision?: 'before' | 'alongside' | 'afterwards';
  /** Only with 'afterwards': whether this saga decides at this step; every one does when left out. */
  decides?(plan: P, outcomes: StepContext['outcomes']): boolean;
  /**
   * Whether the guest may run on its new images before the saga decides. That is written with this step's intent: a recovery
   * without QEMU then takes the new images for the newest. A rollback revokes it.
   */
  foretells?(plan: P): boolean;
  /**
   * What it is for the pause of the guest:
   * - `begins`, `ends`: between the two the guest is paused, and records of steps are not waited for;
   * - `outlives`: its effect may be there from an earlier pause, so that finding it tells nothing of this one;
   * - `stalls`: QEMU holds back the guest's I/O while its commands run, though the guest is not stopped.
   */
  readonly pause?: 'begins' | 'ends' | 'outlives' | 'stalls';
  /** What it asks for may be away for minutes: it is tried for that long before the saga gives up. */
  readonly insists?: boolean;
  /**
   * Whether a rollback may still begin before this step, when it is asked for or a disk has left. By default it may.
   * - `unlessBegun`: not where an earlier process has begun the step, which may have taken effect for good meanwhile;
   * - `never`: from its beginning the step only rolls forward, and is not given up for one refusal.
   */
  readonly rollsBack?: 'unlessBegun' | 'never';
  /**
   * It needs no device of the guest's: it also cleans up disks that have left the guest, and what it does to the guest as a
   * whole is due when all of its disks have left.
   */
  readonly withoutDevices?: boolean;
}

interface Reversible<P extends Plan> extends StepBase<P> {
  /** Looks at what `undo` must restore of what it touches on its way; durable with the intent to undo. */
  observeUndo?(context: StepContext<P>): Promise<Json>;
  /**
   * Undoes the effect, wholly or partly done; it may be asked again. `outcome` is undefined when `do` did not succeed. What it
   * returns is for `undone` alone.
   */
  undo(context: StepContext<P>, outcome: Json | undefined): Promise<unknown>;
  /** What to record when `undo` has ended, from what `observeUndo` saw and what `undo` returned; null unless said. */
  undone?(observed: Json, outcome: Json | undefined, came: unknown): Json;
}

interface Irreversible<P extends Plan> extends StepBase<P> {
  /** Why there is nothing to undo. */
  readonly irreversible: string;
}

/** Where a step's effect is found, disk by disk. `foreign`: something is there that we did not make. */
export interface Probe {
  readonly absent: readonly DiskPlan[];
  readonly present: readonly DiskPlan[];
  readonly foreign: readonly DiskPlan[];
}

/** What a step may use. A fresh one is made for every attempt, on a live connection. */
export interface StepContext<P extends Plan = Plan> {
  /** Its disks are those that the guest still has, unless the step works on nodes, jobs and files alone. */
  readonly plan: P;
  /** The disks that have left the guest. */
  readonly unplugged: readonly UnpluggedDisk[];
  readonly qmp: QmpClient;
  readonly jobs: Jobs;
  /** Files on QEMU's host; null when this process cannot reach them. */
  readonly files: Files | null;
  readonly clock: Clock;
  /**
   * Throws VM_BUSY when another process has taken the saga over. Asked before all that goes neither through `qmp` nor
   * through `files`, which ask by themselves.
   */
  expectHeld(): void;
  /** Connects to the guest agent. Throws QMP_CONNECT. */
  openAgent(address: string): Promise<GuestAgent>;
  /** Tells the saga's `onCommit` which disks the VM has now. Throws PUBLISH. */
  publish(disks: readonly DefinedDisk[]): Promise<void>;
  report(progress: JobProgress): void;

  // What this saga and this step have come to.
  /** What `observe` saw before the first byte of this step was sent; in an undo, what `observeUndo` saw before its own. */
  readonly observed: Json;
  /** Which run of this step it is in the saga, from 1; not which attempt. More than one where a switch is tried again. */
  readonly round: number;
  /**
   * True when nothing of this step can be there yet: this is its first attempt, and no earlier process has begun it, or the pause
   * that it lies in.
   */
  readonly nothingSentYet: boolean;
  /**
   * Which files attempts of this undo have begun to remove in this process, by identity, for its next ones; null where an earlier
   * process may have begun to, and in what is no undo.
   */
  readonly unlinked: Set<string> | null;
  /** How this step's `do` failed, for its undo; undefined when it succeeded or its outcome is unknown. */
  readonly failure: ErrorRecord | undefined;
  /** The outcomes of the steps that succeeded, by name, and of undos as `undo.` and the name; the latest where one ran more than once. */
  readonly outcomes: ReadonlyMap<string, Json>;
  /** Whether the saga's decision is written: what it decided on was so then, whatever the guest has done since. */
  readonly decided: boolean;
  /** What the saga is asked while it runs. */
  readonly signals: Signals;
  /**
   * How fast each job may copy, in bytes per second, as asked for last; 0 is no limit. Of a disk, at most its share of what all
   * sagas of the engine may take.
   */
  speed(disk?: DiskPlan): number;
  /** The limits over all sagas of the engine; undefined where there are none. */
  readonly quota?: Quota;
  /** Where a member of a group meets the others; null for a saga of its own, and where they cannot be met any more. */
  readonly barrier: Barrier | null;

  // The pause of the guest, as far as this process knows it.
  /** What is left of the permitted pause, in milliseconds; all of it where the guest is not paused. */
  pauseLeftMs(): number;
  /** For the step that begins it: from here on it counts, where something else was waited for first. */
  pauseBegins(): void;
  /** For the step that ends it: it has ended, though more is waited for. */
  pauseIsOver(): void;
  /** False when the guest may have run since the saga stopped it: then the new side is not what it was. */
  pausedThroughout(): boolean;
  /**
   * For the step that moves all disks at once: on which images a guest runs that a third party resumes from here on. `sideGoesTo` is told
   * with the answer to the `stop` that goes out in one write with the move, `sideIs` what has come of that.
   */
  sideGoesTo(side: 'old' | 'new'): void;
  sideIs(side: 'old' | 'new' | 'unknown'): void;
  /** Whether the guest is known to have run in this pause on its old images, behind the end of their mirrors: the new ones lack that. */
  ranBeforeSwitch(): boolean;
  /** Whether it has run in this pause on its new images, where they are in front; `maybe` where no event has told of a run. */
  ranBehindSwitch(): 'yes' | 'maybe' | 'no';
  /**
   * What this process knows of the two sides of every disk: `alike` where it saw in this pause that each mirror holds all
   * that its source holds, `apart` where the guest may have written to one side since. `holdTheSame` asks QEMU where neither
   * is known.
   */
  likeness(): 'alike' | 'apart' | 'unknown';
  /** Every mirror was seen with nothing left to copy, or ended well, and the guest paused. */
  sawAlike(): void;
  /** For the step that begins the pause: it has told the mirrors to end, which followed the paused guest; `asked` is what will come of it. */
  endsMirrors(asked: Promise<ActAndLook>): void;
  /** What the guest's devices had written by the `stop` of this pause, in this process (`guest/guest-writes.ts`). */
  sawWrites(writes: number): void;
  writesAtStop(): number | undefined;
  /** What was sent so, once; undefined where nothing was, or an earlier process has sent it. */
  takeMirrorsEnd(): Promise<ActAndLook> | undefined;
  /** A disk's mirror was seen ready: its other side holds all that was there when it was begun. */
  sawReady(disk: DiskPlan): void;
  /** Whether this process has seen that. */
  wasReady(disk: DiskPlan): boolean;

  // What goes into the journal before a step lets the guest write, or pauses it again.
  /**
   * Records, durably, on which side each disk is now. For an undo that resumes the guest where the decision does not
   * say so, before it does: when QEMU dies, only the journal can tell which images are the right ones.
   */
  recordSides(): Promise<void>;
  /**
   * Records that a third party has resumed the guest in the pause, so that this saga has to resume it: once the guest is
   * stopped again that could not be seen any more. Durable on return, unless `waits` is false: then it becomes durable with the
   * rollback that follows from it, and not before. A next process that goes forward instead must not resume the guest on images
   * on which it has not run.
   */
  recordRun(waits?: boolean): Promise<void>;
  /** Images under whose names other files stood while QEMU merged into them, as this saga has seen. */
  readonly mergedElsewhere: ReadonlySet<string>;
  /** The disks of which this process has looked for that behind their merge. */
  readonly mergesLookedAt: Set<string>;
  /** Records, durably, that this was so of these. */
  recordMergedElsewhere(files: readonly string[]): Promise<void>;
  /**
   * The disks, by index, of which the guest is known to have run on both sides, in front of the switch and behind it: neither image is
   * removed or written over any more.
   */
  readonly ranOnBoth: ReadonlySet<number>;
  /** Records, durably, that this was so of these. */
  recordRanOnBoth(disks: readonly DiskPlan[]): Promise<void>;
  /** Takes this for the pause that the guest is in now, for where it has run in between and was stopped again. */
  heldAgain(paused: Paused): void;
}

/** Each aborts when the saga is asked for it. */
interface Signals {
  /** To roll back, this saga or its whole group; only long steps look at it, at a safe point. */
  readonly abort: AbortSignal;
  /** Of a saga that waits: to switch. */
  readonly pivot: AbortSignal;
  /** Of a copy that waits: to keep its copies as they are, and the guest where it is. */
  readonly keepCopies: AbortSignal;
  /** Of a snapshot with mirrors: to do without them and to stay. */
  readonly keepSnapshot: AbortSignal;
}

/** How far one disk's job is, in bytes as QEMU counts them: equal figures do not mean that it is ready. */
export interface JobProgress {
  readonly disk: string;
  readonly job: string;
  readonly status: string;
  readonly currentBytes: number;
  readonly totalBytes: number;
}

/** Sorts the disks of a plan by what was found for each. */
export function probeDisks(disks: readonly DiskPlan[], find: (disk: DiskPlan) => keyof Probe): Probe {
  const found: Record<keyof Probe, DiskPlan[]> = { absent: [], present: [], foreign: [] };
  for (const disk of disks) found[find(disk)].push(disk);
  return found;
}
