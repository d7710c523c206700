/**
 * What all calls on one domain share: how its QEMU is asked, its disks by name, and the one saga that it may have open.
 * It begins sagas and refuses what another one is in the way of; what to begin is the calls' business.
 */

import type { Engine } from '../engine/api.ts';
import { filesOf, type Guest, monitorOf } from '../engine/connection/guest.ts';
import { isolated, type OnListenerError, tellerOf } from '../engine/connection/isolate.ts';
import { monitorOfSaga, type Saga } from '../engine/running/saga.ts';
import { BlocksagaError, definedOnly } from '../errors.ts';
import { qomPath } from '../guest/graph.ts';
import { findDisk } from '../operations/choose-disks.ts';
import { readChains } from '../operations/read-chains.ts';
import { type GuestDisk, survey } from '../operations/survey.ts';
import type { QmpClient } from '../qmp/client.ts';
import { type Clock, systemClock } from '../qmp/clock.ts';
import { valueIfKnown, valueIn } from '../qmp/reply-values.ts';
import { BlockJob, type BlockJobEvent, type WorkKind } from './block-job.ts';
import { refuseKind, refuseUnseen, typesOf } from './disk-kinds.ts';
import { inLibvirtTerms, type LibvirtError, refuse, translated } from './errors.ts';
import type { OfflineWork } from './offline-work.ts';
import type { Sight } from './sight.ts';

/** Where a domain is and how its calls behave. */
export interface DomainOptions extends Guest {
  /** Runs the calls as sagas. */
  readonly engine: Engine;
  /** The VM's name in the journal; QEMU's own name when absent. */
  readonly vm?: string;
  /** Whether a definition of it is kept that outlives QEMU; false unless said. Copies then need TRANSIENT_JOB. */
  readonly persistent?: boolean;
  /** The guest agent's address, for QUIESCE. */
  readonly guestAgent?: string;
  /**
   * Where libvirt 9 and the older proposals for these calls differ: `compat` (unless said) does as libvirt, `strict` as
   * the proposals ask.
   */
  readonly profile?: 'strict' | 'compat';
  /** Capabilities to act without, as an older QEMU would. */
  readonly without?: readonly string[];
  /** How long the guest may be paused in one call, in milliseconds. */
  readonly maxBlackoutMs?: number;
  /** For commits and deletions of snapshots while no QEMU runs; they are refused without it. */
  readonly offline?: OfflineWork;
  /** Told what a listener of `onBlockJob` throws or rejects with; without it the first error of a job's is a warning of the process. */
  readonly onListenerError?: OnListenerError;
  readonly clock?: Clock;
}

/** States in which libvirt calls a domain shut off, or in which its disks are not its own. */
const NOT_RUNNING = new Set(['shutdown', 'inmigrate', 'postmigrate', 'finish-migrate']);

export class DomainCore {
  readonly options: DomainOptions;
  readonly clock: Clock;
  #open: BlockJob | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Set<(event: BlockJobEvent) => void>();

  constructor(options: DomainOptions) {
    this.options = options;
    this.clock = options.clock ?? systemClock;
  }

  get profile(): 'strict' | 'compat' {
    return this.options.profile ?? 'compat';
  }

  get files() {
    return filesOf(this.options);
  }

  /** What every request of this domain has. */
  get request() {
    const { qmp, files, agent, vm, without, maxBlackoutMs } = this.options;
    return { qmp, ...definedOnly({ files, agent, vm, without, maxBlackoutMs }) };
  }

  /** The saga that is open now. */
  get open(): BlockJob | undefined {
    return this.#open;
  }

  listen(listener: (event: BlockJobEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One call after the other looks and begins: the monitor serves one client. Errors come out in libvirt's terms. */
  inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => translated(act));
    this.#turn = turn.catch(() => undefined); // the caller hears of it; the next call takes its turn either way
    return turn;
  }

  /** Asks QEMU, on the open saga's connection where there is one. Throws OPERATION_INVALID when no QEMU answers. */
  async ask<T>(question: (qmp: QmpClient) => Promise<T>): Promise<T> {
    const shared = this.#open === undefined ? undefined : monitorOfSaga(this.#open.saga);
    const monitor = shared ?? monitorOf(this.options, this.clock);
    try {
      return await question(await monitor.client());
    } finally {
      if (monitor !== shared) monitor.close();
    }
  }

  /** Throws OPERATION_INVALID when the VM does not run. */
  async look(): Promise<Sight> {
    const sight = await this.ask(async (qmp): Promise<Sight> => {
      const guest = await readChains(await survey(qmp), filesOf(this.options));
      const [blocks, jobs] = await qmp.pipeline([
        { execute: 'query-block' },
        { execute: 'query-block-jobs' },
      ]);
      const devices = valueIn(blocks);
      const paths = guest.disks.flatMap(({ qdev }) => qdev ?? []);
      const withoutMedium = devices.filter(block => block.inserted === undefined);
      return {
        guest,
        jobs: new Map((valueIfKnown(jobs) ?? []).map(({ device, type, ready }) => [device, { type, ready }])),
        empty: new Set(withoutMedium.flatMap(({ device, qdev }) => [device, ...namesOf(qdev)])),
        types: await typesOf(qmp, paths),
      };
    });
    const { runState } = sight.guest;
    if (NOT_RUNNING.has(runState)) refuse('OPERATION_INVALID', `the domain is not running (${runState})`);
    return sight;
  }

  /** The disk of this name. Throws INVALID_ARG, and CONFIG_UNSUPPORTED for a drive without a medium. */
  diskOf({ guest, empty }: Sight, name: string): GuestDisk {
    if (empty.has(name) && name !== '') refuse('CONFIG_UNSUPPORTED', `disk ${name} has no medium`);
    return findDisk(guest.disks, name);
  }

  /** The disk of this name, if nothing else works on it and it can have jobs. Throws as what it asks does. */
  async freeDisk(sight: Sight, name: string): Promise<GuestDisk> {
    await refuseUnseen(this, sight, name);
    const disk = this.diskOf(sight, name);
    this.refuseBusy(sight, name, disk);
    await refuseKind(sight, name, disk, this.files);
    return disk;
  }

  /** Throws BLOCK_COPY_ACTIVE or OPERATION_UNSUPPORTED for the disk's own job, OPERATION_INVALID for another disk's. */
  refuseBusy({ jobs }: Sight, name: string, disk: GuestDisk): void {
    const open = this.#open;
    if (open?.partOf(disk) !== undefined) {
      const mirrored = open.kind === 'COPY' || open.kind === 'ACTIVE_COMMIT';
      refuse(
        mirrored ? 'BLOCK_COPY_ACTIVE' : 'OPERATION_UNSUPPORTED',
        `disk ${name} has a ${open.kind} job already`,
      );
    }
    const foreign = disk.job === null ? undefined : jobs.get(disk.job);
    if (disk.job !== null) {
      const mirrored = foreign?.type === 'mirror' || (foreign?.type === 'commit' && foreign.ready);
      refuse(
        mirrored ? 'BLOCK_COPY_ACTIVE' : 'OPERATION_UNSUPPORTED',
        `disk ${name} has the block job ${disk.job}`,
      );
    }
    this.refuseOpen();
  }

  /** Throws OPERATION_INVALID while a saga is open: a VM has one at a time. */
  refuseOpen(): void {
    const open = this.#open;
    if (open === undefined) return;
    const disks = open.saga.plan.disks.map(({ disk }) => disk).join(', ');
    refuse('OPERATION_INVALID', `a ${open.kind} of ${disks} is under way; a VM has one saga at a time`);
  }

  /** Begins a saga and resolves when QEMU works on it. */
  async begin(kind: WorkKind, submit: () => Promise<Saga>): Promise<BlockJob> {
    const job = this.adopt(kind, await submit());
    await job.started;
    return job;
  }

  /** Makes a saga the domain's open one until it ends. */
  adopt(kind: WorkKind, saga: Saga): BlockJob {
    const tell = tellerOf(this.options.onListenerError, { listener: 'onBlockJob', saga: saga.id });
    const job = new BlockJob(kind, saga, event => {
      for (const listener of this.#listeners) isolated(listener, tell)(event);
    });
    this.#open = job;
    const close = () => {
      if (this.#open === job) this.#open = undefined;
    };
    saga.ended.then(close, close);
    return job;
  }
}

/** Throws INVALID_ARG for a disk that is none. */
export function expectName(call: string, what: string, name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '') refuse('INVALID_ARG', `${call}: ${what} must be named`);
}

/** Runs `check`; a request that the engine would find senseless gets this category instead. */
export function refusedAs<T>(category: LibvirtError['category'], check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code !== 'REQUEST_INVALID') throw inLibvirtTerms(error);
    return refuse(category, error.message);
  }
}

function namesOf(qdev: string | undefined): readonly string[] {
  const path = qomPath(qdev);
  return path === null ? [] : [path, path.replace(/^\/machine\/peripheral\//, '')];
}
