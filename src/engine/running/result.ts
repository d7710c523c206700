/** What a saga came to, told by QEMU and by the files at the end, not by what the saga believes to have done. */
import { BlocksagaError, definedOnly, type ErrorRecord } from '../../errors.ts';
import {
  blockOf,
  chainFiles,
  frontOf,
  hasCutNames,
  plainName,
  withoutForeignImages,
} from '../../guest/graph.ts';
import type { UnpluggedDisk } from '../../guest/unplugged.ts';
import { type GuestDisk, survey } from '../../operations/survey.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import { type DiskPlan, hasMirrors, type Plan, wayOf } from '../../plan/plan.ts';
import { lossesIn, weakerIn } from '../../plan/told.ts';
import type { BlockInfo } from '../../qmp/schema.generated.ts';
import type { Json } from '../../qmp/transport.ts';
import type { Monitor } from '../connection/monitor.ts';
import { type GuestLeft, guestLeft } from '../durable/guest-left.ts';
import { unpluggedOf } from '../durable/unplugged.ts';
import { seenInQemu, unasked } from './left-in-qemu.ts';
import { bitmapsLeftBehind, type FiledSaga, fileIn, findLeftovers, keptFiles } from './leftovers.ts';
import { findMisnamed, type Misnamed } from './misnamed.ts';

/** How a saga ended, or `ready` when it waits for a signal with every mirror ready. */
export type Outcome = 'committed' | 'rolledBack' | 'needsRecovery' | 'ready';

/** A node and the file of the image that it shows. */
export interface Front {
  readonly node: string;
  readonly file: string;
}

/** Where a disk is, and what is below it, as QEMU tells. */
export interface FrontAfter extends Front {
  /** The files of its chain, the active image first. */
  readonly chain: readonly string[];
}

/** One disk before and after; `after` is null when QEMU could not be asked, or has no such device any more. */
export interface DiskResult {
  readonly disk: string;
  readonly before: Front;
  readonly after: FrontAfter | null;
  /** The file of the new image, whether or not the guest is on it. */
  readonly image: string;
  /** The image that it was on last, where a third party has unplugged it, or taken its medium out. */
  readonly unplugged?: { readonly file: string; readonly format: string };
}

/** An image to start QEMU on. */
export interface BootImage {
  readonly disk: string;
  readonly file: string;
  readonly format: string;
  /** What a raw image has to be opened with as its `size`, in bytes: its file or device is larger. */
  readonly sizeBytes?: number;
}

/** What a saga came to. */
export interface SagaResult {
  readonly saga: string;
  readonly operation: string;
  readonly outcome: Outcome;
  /** How the disks were changed at once: a copy's strategy, a snapshot's method; null when nothing was switched. */
  readonly strategy: string | null;
  /** Which promises are weaker on this QEMU than on one that has all that was asked of it, in words for people. */
  readonly weaker?: readonly string[];
  /** What the old images have and the new ones have not, in words for people. */
  readonly losses?: readonly string[];
  readonly disks: readonly DiskResult[];
  /** The longest time that the guest was paused; milliseconds. Null where nothing was, as of a storage daemon. */
  readonly blackoutMs: number | null;
  readonly error: ErrorRecord | null;
  /** All of the saga that is left, files by their paths and what is in QEMU by its kind and name, and what to do about it. */
  readonly leftovers: readonly string[];
  /** Files that were to be removed, as was asked, and are still there; `leftovers` says why. */
  readonly notRemoved?: readonly string[];
  /** Images that disks are on, or copies, that the next boot would not find under their names, as the last look has shown. */
  readonly misnamed?: readonly Misnamed[];
  /** A guest that does not run at the end, in a state that no pause of the saga's explains, and what is left to do about it. */
  readonly guest?: GuestLeft;
  /** After an offline recovery only: the images to start QEMU on, one for each disk. Its disks' `after` has no node. */
  readonly boot?: readonly BootImage[];
  /** After an offline recovery only: for people, what decided. */
  readonly why?: string;
}

/** A saga at its end, with the ways to look at what it came to. */
interface ReadableSaga extends FiledSaga {
  readonly monitor: Monitor;
}

/** Asks QEMU what is in front of every disk, and the file system what is left. */
export async function readResult(
  saga: ReadableSaga,
  outcome: Outcome,
  error: ErrorRecord | null,
  blackoutMs: number | null,
): Promise<SagaResult> {
  const plan = planAtEnd(saga);
  const { fronts, left } = await askQemu(saga.monitor, saga.plan, plan.disks);
  const guest = await guestLeft(saga.monitor, saga.plan.foundIn);
  const noted = unpluggedOf(saga.journal.records(saga.id));
  const disks = plan.disks.map((disk, at) => {
    // QEMU may show for a while what a device that has left was on.
    const hasLeft = noted.find(({ index }) => index === disk.index);
    const after = hasLeft === undefined ? (fronts?.[at] ?? null) : null;
    const isGone = hasLeft !== undefined || (fronts !== null && after === null);
    const unplugged = isGone ? lastImage(plan, disk, outcome, hasLeft) : undefined;
    const before = { node: disk.node, file: disk.file };
    return { disk: disk.disk, before, after, image: disk.image.file, ...definedOnly({ unplugged }) };
  });
  const mismatch = fronts === null ? undefined : findMismatch(plan, disks, outcome);
  const wrong = mismatch === undefined ? undefined : mixed(saga.id, mismatch);
  const kept = keptFiles(saga.journal.records(saga.id));
  const leftovers = await findLeftovers(saga, outcome);
  const misnamed = isEnd(outcome) ? await findMisnamed(saga, disks, knownByPlan(plan, disks, outcome)) : [];
  const losses = [...lossesIn(saga.plan), ...bitmapsLeftBehind(saga.journal.records(saga.id))];
  return {
    saga: saga.id,
    operation: saga.plan.operation,
    outcome: wrong === undefined ? outcome : 'needsRecovery',
    strategy: wayOf(plan),
    weaker: weakerIn(saga.plan),
    ...(losses.length === 0 || outcome === 'rolledBack' ? {} : { losses }),
    disks,
    blackoutMs: blackoutMs === null || plan.withoutGuest ? null : Math.round(blackoutMs * 1000) / 1000,
    error: error ?? wrong?.toJSON() ?? null,
    leftovers: [...leftovers, ...kept, ...(isEnd(outcome) ? left : [])],
    ...(kept.length === 0 ? {} : { notRemoved: kept.map(fileIn) }),
    ...(misnamed.length === 0 ? {} : { misnamed }),
    ...definedOnly({ guest }),
  };
}

/** Where a disk that has left the guest was last: as was noted at once, or, where it left at the very end, as the outcome says. */
function lastImage(plan: Plan, disk: DiskPlan, outcome: Outcome, noted: UnpluggedDisk | undefined) {
  if (noted !== undefined) return { file: noted.file, format: noted.format };
  const { file, driver } = isSwitched(plan, outcome) ? disk.image : disk;
  return { file: plainName(file), format: driver };
}

/** What the disks came to by: the plan, its first stage, or its mirrors without a switch. */
function planAtEnd({ plan, kept }: Pick<ReadableSaga, 'plan' | 'kept'>): Plan {
  if (kept && plan.operation === 'snapshotMirror') return plan.snapshot;
  return kept && plan.operation === 'copy' ? { ...plan, finish: 'clone', strategy: null } : plan;
}

/** The result of a saga that was given up before its first step. */
export function untouchedResult(saga: string, plan: Plan, error: ErrorRecord | null): SagaResult {
  return {
    saga,
    operation: plan.operation,
    outcome: 'rolledBack',
    strategy: wayOf(plan),
    weaker: weakerIn(plan),
    disks: plan.disks.map(disk => {
      const before = { node: disk.node, file: disk.file };
      const chain = disk.chain.map(({ file }) => plainName(file));
      return { disk: disk.disk, before, after: { ...before, chain }, image: disk.image.file };
    }),
    blackoutMs: null,
    error,
    leftovers: [],
  };
}

/**
 * The result of a saga whose QEMU could not be asked: it is as it was, and its administrator must find out what became
 * of QEMU.
 */
export function unansweredResult(saga: string, plan: Plan, reason: unknown): SagaResult {
  // A `Connect` that the caller passed may fail with anything.
  const error =
    reason instanceof BlocksagaError
      ? reason
      : new BlocksagaError('QMP_CONNECT', `QEMU cannot be reached: ${String(reason)}`, { cause: reason });
  const result = untouchedResult(saga, plan, error.at({ saga }).toJSON());
  return {
    ...result,
    outcome: 'needsRecovery',
    disks: result.disks.map(disk => ({ ...disk, after: null })),
  };
}

/** The result of a saga that a broken assumption of ours has ended; QEMU is not asked with what is broken. */
export function crashedResult(saga: string, plan: Plan, cause: unknown): SagaResult {
  const error = new BlocksagaError('INTERNAL', `a bug of blocksaga ended this saga: ${String(cause)}`, {
    saga,
  });
  const result = untouchedResult(saga, plan, error.toJSON());
  return {
    ...result,
    outcome: 'needsRecovery',
    disks: result.disks.map(disk => ({ ...disk, after: null })),
  };
}

/** A result as the journal keeps it. */
export function resultAsJson(result: SagaResult): Json {
  return result as object as Json;
}

/** Whether what a saga has in QEMU is left there, and not needed any more. */
function isEnd(outcome: Outcome): boolean {
  return outcome === 'committed' || outcome === 'rolledBack';
}

/** What QEMU tells at the end. */
interface Asked {
  /** Where each disk is, null for one that is gone; null for all when QEMU cannot be asked. */
  readonly fronts: readonly (FrontAfter | null)[] | null;
  readonly left: readonly string[];
}

/** Once more where it fails: this is the last time that it is asked. */
async function askQemu(monitor: Monitor, plan: Plan, disks: readonly DiskPlan[]): Promise<Asked> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const qmp = await monitor.client();
      const { blocks, left } = await seenInQemu(qmp, plan);
      if (!hasCutNames(blocks)) return { fronts: disks.map(disk => frontOfDisk(blocks, disk)), left };
      const guest = await survey(qmp);
      return { fronts: disks.map(disk => frontOfSurvey(guest.disks, disk)), left };
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      if (error.code === 'QMP_CONNECT' || attempt === ATTEMPTS)
        return { fronts: null, left: [unasked(error)] };
    }
  }
}

const ATTEMPTS = 2;

function frontOfDisk(blocks: readonly BlockInfo[], disk: DiskPlan): FrontAfter | null {
  const inserted = blockOf(blocks, disk)?.inserted;
  if (inserted === undefined) return null;
  const chain = chainFiles(blocks, disk).map(plainName);
  const front = disk.filters === undefined ? undefined : frontOf(blocks, disk);
  return {
    node: front ?? inserted['node-name'] ?? '',
    file: front === undefined ? plainName(inserted.file) : (chain[0] ?? plainName(inserted.file)),
    chain,
  };
}

function frontOfSurvey(disks: readonly GuestDisk[], { qdev, drive }: DiskPlan): FrontAfter | null {
  const found = disks.find(disk => (qdev === null ? disk.drive === drive : disk.qdev === qdev));
  if (found === undefined) return null;
  return { node: found.node, file: found.file, chain: found.chain.map(({ file }) => file) };
}

/**
 * A disk that is not where the outcome says; the images' files tell, since a revived node has another name. Overlays that a
 * third party has put above are not the saga's to judge, nor is a device that is gone.
 */
function findMismatch(plan: Plan, disks: readonly DiskResult[], outcome: Outcome): DiskResult | undefined {
  if (outcome === 'needsRecovery' || outcome === 'ready') return undefined;
  const switched = isSwitched(plan, outcome);
  return disks.find((disk, at) => {
    const planned = plan.disks[at];
    if (disk.after === null || planned === undefined) return false;
    const chain = withoutForeignImages(disk.after.chain, planned);
    if ((chain[0] ?? disk.after.file) !== plainName(switched ? disk.image : disk.before.file)) return true;
    if (!('rewrites' in plan)) return false;
    return chain.length !== (switched ? chainOfImage(planned) : planned.chain).length;
  });
}

/** Whether a disk has left the guest of a saga that has ended: its nodes may be left then. */
export function lacksDisk({ outcome, disks }: SagaResult): boolean {
  return isEnd(outcome) && disks.some(({ unplugged }) => unplugged !== undefined);
}

/** What is looked for by its name that QEMU has not told of. */
function knownByPlan(plan: Plan, disks: readonly DiskResult[], outcome: Outcome) {
  const unseen = plan.disks.filter(
    (_, at) => disks[at]?.after === null && disks[at]?.unplugged === undefined,
  );
  if (isSwitched(plan, outcome)) return { copies: [], onNew: unseen, onOld: [] };
  return { copies: outcome === 'committed' ? plan.disks : [], onNew: [], onOld: unseen };
}

function isSwitched(plan: Plan, outcome: Outcome): boolean {
  return outcome === 'committed' && !(hasMirrors(plan) && plan.finish === 'clone');
}

function mixed(saga: string, disk: DiskResult): BlocksagaError {
  return new BlocksagaError(
    'VERIFY_FAILED',
    `disk ${disk.disk} is on ${disk.after?.chain.join(' <- ') ?? 'nothing'} at the end, which is not where this saga leaves it`,
    { saga, disk: disk.disk },
  );
}
