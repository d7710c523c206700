/**
 * The engine: checks a request, plans it against the guest, claims the VM in the journal and runs the saga. The same
 * engine serves the library, the command line and the simulator.
 */
import { BlocksagaError } from '../errors.ts';
import type { Journal, Lease } from '../journal/journal.ts';
import { planCopy } from '../operations/plan-copy.ts';
import type { PlanFacts } from '../operations/plan-facts.ts';
import { planSnapshot } from '../operations/plan-snapshot.ts';
import {
  type CopyRequest,
  checkCopyRequest,
  checkSnapshotRequest,
  type SnapshotRequest,
} from '../operations/requests.ts';
import { type Survey, survey } from '../operations/survey.ts';
import { readCapabilities } from '../qmp/capabilities.ts';
import { type Clock, systemClock } from '../qmp/clock.ts';
import { connectSocket } from '../qmp/socket.ts';
import type { Connect, Json } from '../qmp/transport.ts';
import type { Files } from '../steps/files.ts';
import { localFiles } from '../steps/local-files.ts';
import { sagaToken } from '../steps/names.ts';
import type { CopyPlan, Plan, SnapshotPlan } from '../steps/plan.ts';
import { type IdSource, randomIds } from './ids.ts';
import { Monitor } from './monitor.ts';
import type { SagaResult } from './result.ts';
import { type Inspect, runSaga, type Saga } from './saga.ts';

/** What an engine is made with; only the journal must be given. */
export interface EngineOptions {
  /** Where sagas are recorded: `openJournal(file)`, or `memoryJournal()` where nothing need survive. */
  readonly journal: Journal;
  /** Hears XState's inspection events of every saga and of each disk's block job. */
  readonly inspect?: Inspect;
  readonly clock?: Clock;
  readonly ids?: IdSource;
}

/** Where a guest is reached. */
export interface Guest {
  /** The monitor's address (`/run/vm.qmp`, `127.0.0.1:4444`), or how to connect to it. */
  readonly qmp: string | Connect;
  /** Files on QEMU's host; this machine's for a UNIX socket, none otherwise. */
  readonly files?: Files | null;
}

/** How to go on with a saga; the journal remembers the monitor's address, which `qmp` replaces. */
export interface ResumeOptions extends Partial<Guest> {
  readonly signal?: 'pivot' | 'abort';
}

/** Runs sagas. */
export interface Engine {
  /** Puts overlays on N disks, all or none. Throws refusals; what happens later is in the saga's result. */
  snapshot(request: SnapshotRequest & Guest): Promise<Saga>;
  /** Copies N disks and switches all of them, or none. Throws refusals; what happens later is in the saga's result. */
  copy(request: CopyRequest & Guest): Promise<Saga>;
  /**
   * Goes on with a saga whose process died, or that needs recovery: forward after its decision or where its jobs live,
   * else back. `signal` asks a waiting one to switch, or any to go back. A saga that has ended is given back as it is.
   * Throws SAGA_UNKNOWN, VM_BUSY while the process that runs it lives, REQUEST_INVALID without an address.
   */
  resume(id: string, options?: ResumeOptions): Promise<Saga>;
  /** What `snapshot` would do; QEMU sees only queries. */
  planSnapshot(request: SnapshotRequest & Guest): Promise<SnapshotPlan>;
  /** What `copy` would do; QEMU sees only queries. */
  planCopy(request: CopyRequest & Guest): Promise<CopyPlan>;
}

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

type Request = SnapshotRequest | CopyRequest;
type Planner<R extends Request, P extends Plan> = (request: R, facts: PlanFacts) => Promise<P>;

class SagaEngine implements Engine {
  readonly #journal: Journal;
  readonly #inspect: Inspect | undefined;
  readonly #clock: Clock;
  readonly #ids: IdSource;
  readonly #running = new Map<string, Saga>();

  constructor(options: EngineOptions) {
    this.#journal = options.journal;
    this.#inspect = options.inspect;
    this.#clock = options.clock ?? systemClock;
    this.#ids = options.ids ?? randomIds;
  }

  snapshot({ qmp, files, ...request }: SnapshotRequest & Guest): Promise<Saga> {
    return this.#start('snapshot', checkSnapshotRequest(request), { qmp, ...filesOf(files) }, planSnapshot);
  }

  copy({ qmp, files, ...request }: CopyRequest & Guest): Promise<Saga> {
    return this.#start('copy', checkCopyRequest(request), { qmp, ...filesOf(files) }, planCopy);
  }

  planSnapshot({ qmp, files, ...request }: SnapshotRequest & Guest): Promise<SnapshotPlan> {
    return this.#planOnly(checkSnapshotRequest(request), { qmp, ...filesOf(files) }, planSnapshot);
  }

  planCopy({ qmp, files, ...request }: CopyRequest & Guest): Promise<CopyPlan> {
    return this.#planOnly(checkCopyRequest(request), { qmp, ...filesOf(files) }, planCopy);
  }

  async resume(id: string, options: ResumeOptions = {}): Promise<Saga> {
    const running = this.#running.get(id);
    const row = this.#journal.saga(id);
    if (running !== undefined) return running;
    if (row === undefined) {
      throw new BlocksagaError(
        'SAGA_UNKNOWN',
        `the journal knows no saga ${id}; "blocksaga sagas" lists them`,
        { saga: id },
      );
    }
    if (row.state === 'committed' || row.state === 'rolledBack') return endedSaga(id, row.plan, row.result);
    const qmp = options.qmp ?? row.address;
    if (qmp === '') {
      throw new BlocksagaError(
        'REQUEST_INVALID',
        `saga ${id} was begun without an address: say where its QEMU is`,
        { saga: id },
      );
    }
    const lease = this.#journal.takeOver(id);
    if (options.signal !== undefined) {
      await this.#journal.append(lease, [{ kind: 'signal', step: options.signal, body: null }], {
        durable: true,
      });
    }
    const guest = { qmp, ...filesOf(options.files) };
    return this.#run(lease, row.plan as object as Plan, guest, this.#monitor(guest));
  }

  async #planOnly<R extends Request, P extends Plan>(
    request: R,
    guest: Guest,
    planner: Planner<R, P>,
  ): Promise<P> {
    const monitor = this.#monitor(guest);
    try {
      return (await this.#plan(request.id ?? this.#ids(), request, guest, monitor, planner)).plan;
    } finally {
      monitor.close();
    }
  }

  async #start<R extends Request, P extends Plan>(
    operation: string,
    request: R,
    guest: Guest,
    planner: Planner<R, P>,
  ): Promise<Saga> {
    const id = request.id ?? this.#ids();
    const known = this.#known(id, operation, request);
    if (known !== undefined) return known;
    const monitor = this.#monitor(guest);
    try {
      const { plan, seen } = await this.#plan(id, request, guest, monitor, planner);
      const address = typeof guest.qmp === 'string' ? guest.qmp : '';
      const lease = this.#journal.begin({
        id,
        vm: request.vm ?? seen.vmName ?? address,
        operation,
        planVersion: plan.planVersion,
        address,
        request: request as object as Json,
        plan: plan as object as Json,
      });
      await this.#refuseChanged(lease, monitor, seen);
      return this.#run(lease, plan, guest, monitor);
    } catch (error) {
      monitor.close();
      throw error;
    }
  }

  #run(lease: Lease, plan: Plan, guest: Guest, monitor: Monitor): Saga {
    const saga = runSaga({
      plan,
      monitor,
      journal: this.#journal,
      lease,
      files: reachableFiles(guest),
      clock: this.#clock,
      inspect: this.#inspect,
      onEnd: () => this.#running.delete(lease.saga),
    });
    this.#running.set(lease.saga, saga);
    return saga;
  }

  /** The same id twice has one effect: a saga of this engine, or the recorded result of one that has ended. */
  #known(id: string, operation: string, request: Request): Saga | undefined {
    const running = this.#running.get(id);
    const row = this.#journal.saga(id);
    if (row === undefined) return undefined;
    if (row.operation !== operation || JSON.stringify(row.request) !== JSON.stringify(request)) {
      throw new BlocksagaError(
        'SAGA_STATE',
        `the id ${id} belongs to another request already; take a new one`,
        { saga: id },
      );
    }
    if (running !== undefined) return running;
    if (row.state === 'committed' || row.state === 'rolledBack') return endedSaga(id, row.plan, row.result);
    throw new BlocksagaError(
      'SAGA_STATE',
      `saga ${id} has been submitted before and is ${row.state}; look at it with "blocksaga show ${id}"`,
      { saga: id },
    );
  }

  async #plan<R extends Request, P extends Plan>(
    id: string,
    request: R,
    guest: Guest,
    monitor: Monitor,
    planner: Planner<R, P>,
  ): Promise<{ plan: P; seen: Survey }> {
    const qmp = await monitor.client();
    const capabilities = await readCapabilities(qmp, request.without);
    const seen = await survey(qmp);
    const facts = { survey: seen, capabilities, files: reachableFiles(guest), token: sagaToken(id) };
    return { plan: await planner(request, facts), seen };
  }

  /** The guest was looked at before the VM was claimed: another saga may have changed it in between. */
  async #refuseChanged(lease: Lease, monitor: Monitor, seen: Survey): Promise<void> {
    try {
      const now = await survey(await monitor.client());
      if (JSON.stringify(now.disks.map(graphOf)) === JSON.stringify(seen.disks.map(graphOf))) return;
      throw new BlocksagaError(
        'VM_BUSY',
        'the disks of this guest were changed by someone while this was planned; try again',
        {
          retryable: true,
        },
      );
    } catch (error) {
      await this.#journal.end(lease, 'rolledBack', null);
      throw error;
    }
  }

  #monitor(guest: Guest): Monitor {
    const connect =
      typeof guest.qmp === 'string' ? connectSocket(guest.qmp, { clock: this.#clock }) : guest.qmp;
    return new Monitor(connect, this.#clock);
  }
}

function graphOf({ node, file, chain, job }: Survey['disks'][number]) {
  return { node, file, chain, job };
}

function filesOf(files: Files | null | undefined): { readonly files?: Files | null } {
  return files === undefined ? {} : { files };
}

/** Files are where QEMU is: a UNIX socket means this machine. */
function reachableFiles({ qmp, files }: Guest): Files | null {
  if (files !== undefined) return files;
  return typeof qmp === 'string' && (qmp.startsWith('/') || qmp.startsWith('unix:') || qmp.startsWith('.'))
    ? localFiles
    : null;
}

function endedSaga(id: string, plan: Json, recorded: Json): Saga {
  const result = Promise.resolve(recorded as object as SagaResult);
  const ended = (): Promise<SagaResult> =>
    Promise.reject(new BlocksagaError('SAGA_STATE', `saga ${id} has ended`, { saga: id }));
  return {
    id,
    plan: plan as object as Plan,
    result,
    subscribe: () => () => undefined,
    pivot: ended,
    abort: ended,
  };
}
