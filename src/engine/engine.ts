/**
 * The engine: checks a request, plans it against the guest, takes the VM's lease in the journal and runs the saga. The same
 * engine serves the library, the command line and the simulator.
 */
import { BlocksagaError, definedOnly } from '../errors.ts';
import type { Journal, Lease } from '../journal/journal.ts';
import { whenFree } from '../journal/waiting.ts';
import { checkId } from '../operations/check-id.ts';
import { OPERATIONS, type Operation, type Request } from '../operations/operations.ts';
import type {
  CommitRequest,
  CopyRequest,
  PullRequest,
  RevertRequest,
  SnapshotRequest,
} from '../operations/requests.ts';
import type {
  CopyPlan,
  Plan,
  RevertPlan,
  RewritePlan,
  SnapshotMirrorPlan,
  SnapshotPlan,
} from '../plan/plan.ts';
import { type Clock, systemClock } from '../qmp/clock.ts';
import type { Json } from '../qmp/transport.ts';
import { abortWith, refuseAborted } from './abort-signal.ts';
import type { Engine, EngineOptions } from './api.ts';
import { type CloseOptions, Closing } from './closing.ts';
import { filesOf, type Submit, splitGuest } from './connection/guest.ts';
import { type IdSource, randomIds } from './connection/ids.ts';
import { checkedJournal } from './durable/checked-journal.ts';
import { withJournalErrors } from './durable/journal-errors.ts';
import { letGo } from './durable/let-go.ts';
import { expectOptions } from './engine-options.ts';
import type { Group, GroupOptions, ResumeGroupOptions } from './group.ts';
import type { Joining } from './group-beginning.ts';
import { type MemberPlan, memberOf } from './group-member.ts';
import type { MemberRequest } from './group-request.ts';
import { Groups } from './groups.ts';
import { KnownSagas } from './known-sagas.ts';
import { listSagas, type SagaPage, type SagaQuery } from './look-up.ts';
import { Planning } from './planning.ts';
import { refuseChanged } from './refuse-changed.ts';
import type { ResumeOptions } from './resume.ts';
import { Resuming } from './resuming.ts';
import type { Saga } from './running/saga-types.ts';
import { Runs } from './runs.ts';
import { afterBegin, type Submission, Submissions } from './submissions.ts';
import { unlessEnded } from './unless-ended.ts';
import { vmOf } from './vm-name.ts';

/**
 * Makes an engine.
 *
 * @example
 * ```ts
 * const engine = createEngine({ journal: openJournal('/var/lib/blocksaga/journal.db') });
 * const saga = await engine.snapshot({
 *   qmp: '/run/vm.qmp',
 *   disks: [{ disk: 'disk0', overlay: '/images/disk0.snap1.qcow2' }],
 * });
 * const { outcome, blackoutMs } = await saga.result;
 * ```
 */
export function createEngine(options: EngineOptions): Engine {
  expectOptions(options);
  return new SagaEngine(options);
}

class SagaEngine implements Engine {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #ids: IdSource;
  readonly #submissions = new Submissions();
  readonly #planning: Planning;
  readonly #closing: Closing;
  readonly #known: KnownSagas;
  readonly #runs: Runs;
  readonly #groups: Groups;
  readonly #resuming: Resuming;

  constructor(options: EngineOptions) {
    this.#journal = withJournalErrors(options.journal);
    this.#clock = options.clock ?? systemClock;
    this.#ids = options.ids ?? randomIds;
    const parts = { ...options, journal: this.#journal, clock: this.#clock, ids: this.#ids };
    this.#planning = new Planning(parts, this.#submissions);
    this.#closing = new Closing(this.#clock);
    this.#known = new KnownSagas({ ...parts, engine: this, onListenerError: options.onListenerError });
    this.#runs = new Runs(parts, this.#submissions, () => this.#groups.renewed);
    this.#resuming = new Resuming({
      ...parts,
      ...{ submissions: this.#submissions, closing: this.#closing, known: this.#known, runs: this.#runs },
    });
    this.#groups = new Groups({
      ...parts,
      plan: (group, asked, planned) => this.#planning.planOnly(memberOf(group), asked, planned),
      start: (group, asked, joining) => this.#start(memberOf(group), asked, joining),
      known: (row, guest) => this.#known.saga(row, guest),
      resume: (member, how) => this.#resuming.resume(member, how),
      endings: group => this.#closing.endings(group),
      changed: () => this.#runs.changed(),
    });
  }

  snapshot(asked: SnapshotRequest & Submit): Promise<Saga> {
    return this.#start(OPERATIONS.snapshot, asked);
  }

  async group(
    requests: readonly MemberRequest[],
    { id: asked = this.#ids(), hosts }: GroupOptions = {},
  ): Promise<Group> {
    const id = checkId(asked);
    return this.#closing.during(id, () => this.#groups.begin(id, requests, hosts));
  }

  copy(asked: CopyRequest & Submit): Promise<Saga> {
    return this.#start(OPERATIONS.copy, asked);
  }

  commit(asked: CommitRequest & Submit): Promise<Saga> {
    return this.#start(OPERATIONS.commit, asked);
  }

  pull(asked: PullRequest & Submit): Promise<Saga> {
    return this.#start(OPERATIONS.pull, asked);
  }

  revert(asked: RevertRequest & Submit): Promise<Saga> {
    return this.#start(OPERATIONS.revert, asked);
  }

  planSnapshot(asked: SnapshotRequest & Submit): Promise<SnapshotPlan | SnapshotMirrorPlan> {
    return this.#planning.planOnly(OPERATIONS.snapshot, asked);
  }

  planGroup(requests: readonly MemberRequest[]): Promise<readonly MemberPlan[]> {
    return this.#groups.plan(requests);
  }

  planCopy(asked: CopyRequest & Submit): Promise<CopyPlan> {
    return this.#planning.planOnly(OPERATIONS.copy, asked);
  }

  planCommit(asked: CommitRequest & Submit) {
    return this.#planning.planOnly(OPERATIONS.commit, asked);
  }

  planPull(asked: PullRequest & Submit): Promise<RewritePlan> {
    return this.#planning.planOnly(OPERATIONS.pull, asked);
  }

  planRevert(asked: RevertRequest & Submit): Promise<RevertPlan> {
    return this.#planning.planOnly(OPERATIONS.revert, asked);
  }

  async resume(id: string, options: ResumeOptions = {}): Promise<Saga> {
    return this.#closing.during(id, () => this.#resuming.resume(id, options));
  }

  resumeGroup(id: string, options: ResumeGroupOptions = {}): Promise<Group> {
    return this.#closing.during(id, () => this.#groups.resume(id, options));
  }

  saga(id: string): Saga | undefined {
    const running = this.#submissions.running(id);
    if (running !== undefined) return running;
    const row = checkedJournal(this.#journal).saga(id);
    return row && this.#known.looked(row);
  }

  sagas(query: SagaQuery = {}): SagaPage {
    return listSagas(this.#journal, query);
  }

  async close(options: CloseOptions = {}): Promise<void> {
    this.#runs.stop();
    await this.#closing.close(this.#journal, () => this.#submissions.all, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The same id twice has one effect: what the first submission comes to is given to the second. */
  async #start<R extends Request, P extends Plan>(
    operation: Operation<R, P>,
    asked: R & Submit,
    joining?: Joining,
  ): Promise<Saga> {
    const { guest: submit, request: unchecked } = splitGuest(asked);
    const { signal, ...guest } = submit;
    const request = operation.check(unchecked);
    const id = request.id ?? this.#ids();
    const submission = { id, operation: operation.nameOf(request), request };
    refuseAborted(signal);
    const saga = await this.#closing.during(id, () =>
      this.#submissions.submit(submission, {
        row: () => checkedJournal(this.#journal).saga(id),
        begin: () => this.#begin(submission, request, submit, operation, joining),
        known: row => this.#known.saga(row, guest),
      }),
    );
    abortWith(saga, signal);
    return saga;
  }

  async #begin<R extends Request, P extends Plan>(
    { id, operation: name }: Submission,
    request: R,
    { signal, ...guest }: Submit,
    operation: Operation<R, P>,
    joining: Joining | undefined,
  ): Promise<Saga> {
    this.#planning.refuseHeld(request, guest);
    const monitor = this.#runs.monitorOf(id, guest);
    let lease: Lease | undefined;
    try {
      const endings = this.#closing.endings(id, signal);
      const planning = () => this.#planning.plan(id, request, guest, monitor, operation);
      const { plan, seen, files } = await unlessEnded(endings, planning);
      const row = {
        id,
        vm: vmOf(request, seen, guest),
        operation: name,
        planVersion: plan.planVersion,
        address: typeof guest.qmp === 'string' ? guest.qmp : '',
        request: request as object as Json,
        plan: plan as object as Json,
      };
      await joining?.planned({ vm: row.vm, plan, files: files && filesOf(guest) });
      const held = await whenFree(this.#clock, within => {
        this.#closing.expectOpen(id);
        refuseAborted(signal);
        return this.#journal.begin(row, within);
      });
      lease = held;
      await refuseChanged(this.#journal, held, plan, monitor, seen, endings);
      const { metadata } = request;
      return this.#runs.run({
        lease: held,
        plan,
        guest,
        files,
        monitor,
        metadata,
        ...definedOnly({ barrier: joining?.barrier }),
      });
    } catch (error) {
      monitor.close();
      if (lease === undefined) throw error;
      if (error instanceof BlocksagaError && error.code === 'CLOSED') await letGo(this.#journal, lease);
      throw afterBegin(error);
    }
  }
}
