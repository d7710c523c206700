/** What an engine is to its users: what it is made with, and what can be asked of it. Types only. */
import type { Journal } from '../journal/journal.ts';
import type {
  CommitRequest,
  CopyRequest,
  PullRequest,
  RevertRequest,
  SnapshotRequest,
} from '../operations/requests.ts';
import type {
  ActiveCommitPlan,
  CopyPlan,
  RevertPlan,
  RewritePlan,
  SnapshotMirrorPlan,
  SnapshotPlan,
} from '../plan/plan.ts';
import type { Clock } from '../qmp/clock.ts';
import type { CloseOptions } from './closing.ts';
import type { Submit } from './connection/guest.ts';
import type { IdSource } from './connection/ids.ts';
import type { OnListenerError } from './connection/isolate.ts';
import type { Publisher } from './connection/publish.ts';
import type { Trace } from './connection/wire.ts';
import type { AskLeader } from './durable/group-across.ts';
import type { Group, GroupOptions, ResumeGroupOptions } from './group.ts';
import type { MemberPlan } from './group-member.ts';
import type { MemberRequest } from './group-request.ts';
import type { LimitOptions } from './limits.ts';
import type { SagaPage, SagaQuery } from './look-up.ts';
import type { Logger, OpenTelemetryApi } from './open-telemetry.ts';
import type { ResumeOptions } from './resume.ts';
import type { Inspect, Saga } from './running/saga.ts';

/** What an engine is made with; only the journal must be given. */
export interface EngineOptions {
  /** Where sagas are recorded: `openJournal(file)`, or `memoryJournal()` where nothing need survive. */
  readonly journal: Journal;
  /** Hears XState's inspection events of every saga and of each disk's block job. */
  readonly inspect?: Inspect;
  /** Hears what goes over each saga's monitor, message by message; `openTraceFile(file).trace` keeps it, within a bound. */
  readonly trace?: Trace;
  /**
   * Told after each saga's decision which disks the VM has now, before the saga ends: at least once, again for minutes
   * when it rejects, and again by `resume`. It never rolls the saga back. Clones do not change disks and are not told
   * of. A snapshot with mirrors tells of its overlays before they are mirrored, of the mirrors when they are switched
   * to, and of the old disks when it is rolled back.
   */
  readonly onCommit?: Publisher;
  /**
   * Told what listeners throw, or reject with, of every kind: of `subscribe`, `inspect`, `trace`, `onCommit`, the logger and OpenTelemetry. It changes nothing for
   * their sagas. Without it the first error of each listener is a warning of the process (`process.emitWarning`).
   */
  readonly onListenerError?: OnListenerError;
  /** OpenTelemetry's API (`import * as openTelemetry from '@opentelemetry/api'`), for spans and metrics; none unless given. */
  readonly openTelemetry?: OpenTelemetryApi;
  /** Hears of sagas in lines, in pino's shape; none unless given. */
  readonly logger?: Logger;
  /** Limits over all sagas of this engine; none unless told. Sagas of other processes are not counted. */
  readonly limits?: LimitOptions;
  /**
   * Asks the host that leads a group what it has decided, for members here that are in doubt; an agent does. Without it such
   * a member is refused to be resumed, with SAGA_STATE.
   */
  readonly askLeader?: AskLeader;
  readonly clock?: Clock;
  readonly ids?: IdSource;
}

/** Runs sagas. `await using engine = createEngine(...)` closes it. */
export interface Engine extends AsyncDisposable {
  /**
   * Puts overlays on N disks, all or none. With mirrors the saga then waits at READY: `pivot` switches all disks onto them,
   * `keepSnapshot` drops them, `abort` undoes the overlays too. Throws refusals; what happens later is in the
   * saga's result.
   */
  snapshot(request: SnapshotRequest & Submit): Promise<Saga>;
  /**
   * Puts overlays on the disks of several guests at one instant, or with `finish: 'clone'` copies their disks as of one: all disks
   * of all guests, or none. Every guest is paused until the last has its overlays, or its copies are complete, for as long as its
   * `maxBlackoutMs` at most; where one cannot, none has run on its overlays, and no copy is kept. The images below, or the copies,
   * are what a power cut of all guests at once would leave. All are planned before any is begun. The same
   * `id` twice has one effect, in later processes too. Throws refusals; what happens later is in the group's result.
   */
  group(requests: readonly MemberRequest[], options?: GroupOptions): Promise<Group>;
  /**
   * Brings all members of a group to their ends whose process died: where it had not decided to commit, all are rolled back.
   * Throws SAGA_UNKNOWN, SAGA_STATE for what is no group, and what `resume` of a member throws.
   */
  resumeGroup(id: string, options?: ResumeGroupOptions): Promise<Group>;
  /**
   * Copies N disks and switches all of them, or none. With `finish: 'leave'` the saga waits at READY: `pivot` switches all
   * disks, `keepCopies` leaves the copies as one consistent cut beside them, `abort` takes them away. Throws refusals; what
   * happens later is in the saga's result.
   */
  copy(request: CopyRequest & Submit): Promise<Saga>;
  /** Merges images of N disks into ones below them, on all disks or on none. Throws refusals. */
  commit(request: CommitRequest & Submit): Promise<Saga>;
  /** Pulls what is below N active images into them, on all disks or on none. Throws refusals. */
  pull(request: PullRequest & Submit): Promise<Saga>;
  /**
   * Reverts N disks of a paused guest to images below their active ones, all or none; the guest stays paused.
   * Throws refusals, GUEST_RUNS among them.
   */
  revert(request: RevertRequest & Submit): Promise<Saga>;
  /**
   * Resumes a saga whose process died, or that needs recovery: it rolls forward after its decision or where its jobs
   * are still there, else back. `signal` asks a waiting one to switch, or any to roll back. For a saga that has ended
   * it returns the result that it had; one whose QEMU is gone ends as `needsRecovery` with QMP_CONNECT or
   * QEMU_REPLACED, and nothing is done. Throws SAGA_UNKNOWN, VM_BUSY while the process that runs it is alive (see
   * `force`), REQUEST_INVALID without an address, SAGA_STATE for a signal that comes too late, JOURNAL for a saga of
   * another version.
   */
  resume(id: string, options?: ResumeOptions): Promise<Saga>;
  /**
   * The handle of a saga of any process; undefined when the journal has none of this id. One that no process runs is only
   * looked at: `resume` continues it. Throws JOURNAL, also for a saga of another version.
   */
  saga(id: string): Saga | undefined;
  /** The sagas of all processes, newest first, a page at a time. Throws REQUEST_INVALID, JOURNAL. */
  sagas(query?: SagaQuery): SagaPage;
  /**
   * Ends the engine well: it takes no new sagas (CLOSED), waits until those that hold their guest are out of their pause, and
   * lets go of all others where they stand: mirrors go on in QEMU, and any process may `resume` them at once. The results of
   * those reject with CLOSED. Resolves when all is quiet; the journal stays open, to be closed after this. Never rejects.
   */
  close(options?: CloseOptions): Promise<void>;
  /** What `snapshot` would do; QEMU sees only queries. */
  planSnapshot(request: SnapshotRequest & Submit): Promise<SnapshotPlan | SnapshotMirrorPlan>;
  /** What `group` would do, guest by guest; QEMU sees only queries. */
  planGroup(requests: readonly MemberRequest[]): Promise<readonly MemberPlan[]>;
  /** What `copy` would do; QEMU sees only queries. */
  planCopy(request: CopyRequest & Submit): Promise<CopyPlan>;
  /** What `commit` would do; QEMU sees only queries. */
  planCommit(request: CommitRequest & Submit): Promise<ActiveCommitPlan | RewritePlan>;
  /** What `pull` would do; QEMU sees only queries. */
  planPull(request: PullRequest & Submit): Promise<RewritePlan>;
  /** What `revert` would do; QEMU sees only queries. */
  planRevert(request: RevertRequest & Submit): Promise<RevertPlan>;
}
