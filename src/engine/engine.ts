/**
 * The engine: checks a request, plans it against the guest, claims the VM in the journal and runs the saga. The same
 * engine serves the library, the command line and the simulator.
 */
import { BlocksagaError } from '../errors.ts';
import type { Files } from '../images/files.ts';
import type { Journal, Lease } from '../journal/journal.ts';
import { sagaIsUnknown } from '../journal/refusals.ts';
import { whenFree } from '../journal/waiting.ts';
import { planCopy } from '../operations/plan-copy.ts';
import type { PlanFacts } from '../operations/plan-facts.ts';
import { planCommit, planPull } from '../operations/plan-merge.ts';
import { planRevert } from '../operations/plan-revert.ts';
import { operationOfSnapshot, planAnySnapshot } from '../operations/plan-snapshot-mirror.ts';
import { readChains } from '../operations/read-chains.ts';
import {
  type CommitRequest,
  type CopyRequest,
  checkCommitRequest,
  checkCopyRequest,
  checkPullRequest,
  checkRevertRequest,
  checkSnapshotRequest,
  type PullRequest,
  type RevertRequest,
  type SnapshotRequest,
} from '../operations/requests.ts';
import { type Survey, surveyStaying } from '../operations/survey.ts';
import { sagaToken } from '../plan/names.ts';
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
import type { Engine, EngineOptions } from './api.ts';
import { agentOf, type Guest, guestOf, monitorOf, provedFilesOf, splitGuest } from './connection/guest.ts';
import { type IdSource, randomIds } from './connection/ids.ts';
import type { OnListenerError } from './connection/isolate.ts';
import type { Monitor } from './connection/monitor.ts';
import { onCommitOf, type Publisher, publisherOf, toldTo } from './connection/publish.ts';
import { checkedJournal } from './durable/checked-journal.ts';
import { askElsewhere, seizeUnlessHeld } from './elsewhere.ts';
import { heldBySaga } from './held-by-saga.ts';
import { KnownQemus } from './known-qemus.ts';
import { planToResume } from './recovery/plan-to-resume.ts';
import { freeOfSagas } from './removal/named-images.ts';
import { imagesIn, imagesOf, withProofs } from './removal/proved-leaving.ts';
import { asked, expectSameQemu, type ResumeOptions, refuseSignal, unansweredResult } from './resume.ts';
import { expectCurrentIn } from './running/current-snapshot.ts';
import { endedSaga } from './running/ended-saga.ts';
import { refuseChanged } from './running/refuse-changed.ts';
import { resultAsJson } from './running/result.ts';
import { type Inspect, runSaga, type Saga } from './running/saga.ts';
import { Submissions } from './submissions.ts';
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
  return new SagaEngine(options);
}

type Request = SnapshotRequest | CopyRequest | CommitRequest | PullRequest | RevertRequest;
type Planner<R extends Request, P extends Plan> = (request: R, facts: PlanFacts) => Promise<P>;

class SagaEngine implements Engine {
  readonly #journal: Journal;
  readonly #inspect: Inspect | undefined;
  readonly #onCommit: Publisher | undefined;
  readonly #onListenerError: OnListenerError | undefined;
  readonly #clock: Clock;
  readonly #ids: IdSource;
  readonly #qemus = new KnownQemus();
  readonly #submissions = new Submissions();

  constructor(options: EngineOptions) {
    this.#journal = options.journal;
    this.#inspect = options.inspect;
    this.#onCommit = options.onCommit;
    this.#onListenerError = options.onListenerError;
    this.#clock = options.clock ?? systemClock;
    this.#ids = options.ids ?? randomIds;
  }

  async snapshot(asked: SnapshotRequest & Guest): Promise<Saga> {
    const { guest, request } = splitGuest(asked);
    const checked = checkSnapshotRequest(request);
    return this.#start(operationOfSnapshot(checked), checked, guest, planAnySnapshot);
  }

  async copy(asked: CopyRequest & Guest): Promise<Saga> {
    const { guest, request } = splitGuest(asked);
    return this.#start('copy', checkCopyRequest(request), guest, planCopy);
  }

  async commit(asked: CommitRequest & Guest): Promise<Saga> {
    const { guest, request } = splitGuest(asked);
    return this.#start('commit', checkCommitRequest(request), guest, planCommit);
  }

  async pull(asked: PullRequest & Guest): Promise<Saga> {
    const { guest, request } = splitGuest(asked);
    return this.#start('pull', checkPullRequest(request), guest, planPull);
  }

  async revert(asked: RevertRequest & Guest): Promise<Saga> {
    const { guest, request } = splitGuest(asked);
    return this.#start('revert', checkRevertRequest(request), guest, planRevert);
  }

  async planRevert(asked: RevertRequest & Guest): Promise<RevertPlan> {
    const { guest, request } = splitGuest(asked);
    return this.#planOnly(checkRevertRequest(request), guest, planRevert);
  }

  async planSnapshot(asked: SnapshotRequest & Guest): Promise<SnapshotPlan | SnapshotMirrorPlan> {
    const { guest, request } = splitGuest(asked);
    return this.#planOnly(checkSnapshotRequest(request), guest, planAnySnapshot);
  }

  async planCopy(asked: CopyRequest & Guest): Promise<CopyPlan> {
    const { guest, request } = splitGuest(asked);
    return this.#planOnly(checkCopyRequest(request), guest, planCopy);
  }

  async planCommit(asked: CommitRequest & Guest) {
    const { guest, request } = splitGuest(asked);
    return this.#planOnly(checkCommitRequest(request), guest, planCommit);
  }

  async planPull(asked: PullRequest & Guest): Promise<RewritePlan> {
    const { guest, request } = splitGuest(asked);
    return this.#planOnly(checkPullRequest(request), guest, planPull);
  }

  async resume(id: string, options: ResumeOptions = {}): Promise<Saga> {
    const { signal } = options;
    const running = this.#submissions.running(id);
    if (running !== undefined) return asked(running, signal);
    const row = checkedJournal(this.#journal).saga(id);
    if (row === undefined) throw sagaIsUnknown(id);
    const plan = toldTo(options.onCommit, planToResume(row));
    const records = checkedJournal(this.#journal).records(id);
    refuseSignal(row, plan, records, signal);
    if (row.state === 'committed' || row.state === 'rolledBack') return endedSaga(row);
    const qmp = options.qmp ?? row.address;
    if (qmp === '') {
      const why = `saga ${id} was begun without an address: say where its QEMU is`;
      throw new BlocksagaError('REQUEST_INVALID', why, { saga: id });
    }
    const guest = guestOf(qmp, options);
    await expectCurrentIn(guest, this.#clock, { id, plan, records, signal });
    const lease = await seizeUnlessHeld(this.#journal, id, options, this.#clock);
    if (lease === undefined) {
      return askElsewhere({ engine: this, journal: this.#journal, clock: this.#clock, row, plan, options });
    }
    const monitor = monitorOf(guest, this.#clock);
    try {
      await expectSameQemu(monitor, this.#clock, id, plan, this.#journal.records(id));
    } catch (error) {
      monitor.close();
      const result = resultAsJson(unansweredResult(id, plan, error));
      await this.#journal.end(lease, 'needsRecovery', result);
      return endedSaga({ ...row, result });
    }
    if (signal !== undefined) {
      await this.#journal.append(lease, [{ kind: 'signal', step: signal, body: null }], { durable: true });
    }
    return this.#run(lease, plan, guest, await provedFilesOf(guest, imagesIn(plan)), monitor);
  }

  async #planOnly<R extends Request, P extends Plan>(
    request: R,
    guest: Guest,
    planner: Planner<R, P>,
  ): Promise<P> {
    const monitor = monitorOf(guest, this.#clock);
    try {
      return (await this.#plan(request.id ?? this.#ids(), request, guest, monitor, planner)).plan;
    } finally {
      monitor.close();
    }
  }

  /** The same id twice has one effect: what the first submission comes to is given to the second. */
  #start<R extends Request, P extends Plan>(
    operation: string,
    request: R,
    guest: Guest,
    planner: Planner<R, P>,
  ): Promise<Saga> {
    const id = request.id ?? this.#ids();
    const row = checkedJournal(this.#journal).saga(id);
    return this.#submissions.submit({ id, operation, request }, row, () =>
      this.#begin(id, operation, request, guest, planner),
    );
  }

  async #begin<R extends Request, P extends Plan>(
    id: string,
    operation: string,
    request: R,
    guest: Guest,
    planner: Planner<R, P>,
  ): Promise<Saga> {
    const monitor = monitorOf(guest, this.#clock);
    try {
      const { plan, seen, files } = await this.#plan(id, request, guest, monitor, planner);
      const row = {
        id,
        vm: vmOf(request, seen, guest),
        operation,
        planVersion: plan.planVersion,
        address: typeof guest.qmp === 'string' ? guest.qmp : '',
        request: request as object as Json,
        plan: plan as object as Json,
      };
      const lease = await whenFree(this.#clock, within => this.#journal.begin(row, within));
      await refuseChanged(this.#journal, lease, plan, monitor, seen);
      return this.#run(lease, plan, guest, files, monitor);
    } catch (error) {
      monitor.close();
      throw error;
    }
  }

  #run(lease: Lease, plan: Plan, guest: Guest, files: Files | null, monitor: Monitor): Saga {
    const saga = runSaga({
      plan,
      monitor,
      journal: this.#journal,
      lease,
      files,
      clock: this.#clock,
      openAgent: monitor.held.watchAgent(agentOf(guest, this.#clock)),
      publish: publisherOf(
        { ...lease, id: lease.saga, operation: plan.operation },
        plan.onCommit,
        this.#onCommit,
        this.#clock,
        this.#onListenerError,
      ),
      inspect: this.#inspect,
      onListenerError: this.#onListenerError,
      onEnd: () => this.#submissions.ended(lease.saga),
    });
    this.#submissions.runs(saga);
    return saga;
  }

  async #plan<R extends Request, P extends Plan>(
    id: string,
    request: R,
    guest: Guest,
    monitor: Monitor,
    planner: Planner<R, P>,
  ): Promise<{ plan: P; seen: Survey; files: Files | null }> {
    const qmp = await monitor.client();
    const capabilities = await this.#qemus.capabilities(qmp, request.without);
    const seen = await surveyStaying(qmp);
    const onCommit = onCommitOf(request.onCommit, this.#onCommit);
    const files = await provedFilesOf(guest, imagesOf(seen.disks));
    const known = await readChains(seen, files);
    const facts = { survey: known, capabilities, files, token: sagaToken(id), onCommit };
    try {
      const made = await freeOfSagas(this.#journal, id, files, planner(request, facts));
      return { plan: await withProofs(made, files), seen, files };
    } catch (error) {
      throw heldBySaga(this.#journal, error, vmOf(request, seen, guest)) ?? error;
    }
  }
}
