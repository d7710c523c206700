/**
 * Commits images of N chains into ones below them while no QEMU runs: on all chains, or on none. Durable like every
 * saga: it takes its name in the journal, decides once, and `recoverOffline` resumes it when its process died. This
 * file only starts it; `merge-offline.ts` does the work.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Files } from '../../images/files.ts';
import type { Images } from '../../images/images.ts';
import { localFiles } from '../../images/local-files.ts';
import { localImages } from '../../images/local-images.ts';
import type { Journal, SagaRow } from '../../journal/journal.ts';
import { sagaExists } from '../../journal/refusals.ts';
import { whenFree } from '../../journal/waiting.ts';
import {
  checkOfflineCommitRequest,
  type OfflineCommitRequest,
} from '../../operations/commit-offline-request.ts';
import {
  COMMIT_OFFLINE,
  type OfflineCommitPlan,
  planCommitOffline,
} from '../../operations/plan-commit-offline.ts';
import { isSameRequest } from '../../operations/same-request.ts';
import { sagaToken } from '../../plan/names.ts';
import { PLAN_VERSION } from '../../plan/plan.ts';
import { type Clock, sleep, systemClock } from '../../qmp/clock.ts';
import type { Json } from '../../qmp/transport.ts';
import { seize } from '../connection/fence.ts';
import { type IdSource, randomIds } from '../connection/ids.ts';
import { checkedJournal, expectReadable } from '../durable/checked-journal.ts';
import { type AcceptRestored, expectNewestOrAccept } from '../durable/newest-journal.ts';
import { refuseNamed } from '../removal/named-images.ts';
import { endedSaga } from '../running/ended-saga.ts';
import { resultAsJson, type SagaResult } from '../running/result.ts';
import type { Saga } from '../running/saga.ts';
import { offlineResult } from './offline-commit-result.ts';
import { offlineSaga } from './offline-saga.ts';

/** A merge that outlives its process keeps its locks; it may end while one waits, or run for hours. */
const LOCK_POLLS_MAX = 20;
const LOCK_POLL_MS = 250;

/** How to commit without QEMU; only what differs from the usual must be said. */
export interface CommitOfflineOptions {
  /** Asks it to roll back: it does while its decision has not been taken. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly ids?: IdSource;
  /** Files and images; this machine's unless said. */
  readonly files?: Files;
  readonly images?: Images;
}

/**
 * Commits images of N chains that no QEMU has open. The result's `boot` names the images to boot from, and `why` what
 * the others are good for. A failure before the decision leaves every chain reading as it did (`rolledBack`); after one
 * behind it `recoverOffline` finishes the rest (`needsRecovery`). The same id twice has one effect.
 *
 * Throws REQUEST_INVALID, UNKNOWN_DISK, DISK_NAMED_TWICE, DISK_UNSUPPORTED (a format that no header says, a chain that is
 * not all files), DISK_BUSY (an image is in use, or two disks stand on one), FILES, VM_BUSY (another saga has a part in an
 * image), SAGA_STATE: nothing was touched then. Rejects with VM_BUSY or JOURNAL when the journal was lost meanwhile.
 *
 * @example
 * ```ts
 * const { outcome, boot } = await commitOffline(openJournal('/var/lib/blocksaga/journal.db'), {
 *   disks: [{ disk: '/images/web.snap2.qcow2' }, { disk: '/images/data.snap2.qcow2' }],
 * });
 * for (const { disk, file, format } of boot ?? []) console.log(outcome, disk, file, format);
 * ```
 */
export async function commitOffline(
  journal: Journal,
  asked: OfflineCommitRequest,
  options: CommitOfflineOptions = {},
): Promise<SagaResult> {
  return (await startOfflineCommit(journal, asked, options)).result;
}

/** The same, as a saga that can be followed: resolves when it is in the journal. Throws refusals. */
export async function startOfflineCommit(
  journal: Journal,
  asked: OfflineCommitRequest,
  options: CommitOfflineOptions = {},
): Promise<Saga> {
  const { clock = systemClock, ids = randomIds, files = localFiles, images = localImages } = options;
  const request = checkOfflineCommitRequest(asked);
  const id = request.id ?? ids();
  const row = journal.saga(id);
  if (row !== undefined) return knownSaga(row, request);
  const plan = await planCommitOffline(request, { files, images, token: sagaToken(id) });
  await refuseNamed(journal, id, plan, files);
  const begun = {
    id,
    vm: request.vm ?? request.disks[0]?.disk ?? '',
    operation: COMMIT_OFFLINE,
    planVersion: PLAN_VERSION,
    address: '',
    request: request as object as Json,
    plan: plan as object as Json,
  };
  const lease = await whenFree(clock, within => journal.begin(begun, within));
  // Two that were planned at the same instant see one another now, and none of them has begun.
  await refuseNamed(journal, id, plan, files).catch(async cause => {
    const error = cause instanceof BlocksagaError ? cause.toJSON() : null;
    const end = { id, plan, state: 'rolledBack', error, kept: [], begun: new Set<number>(), images } as const;
    await journal.end(lease, 'rolledBack', resultAsJson(await offlineResult(end)));
    throw cause;
  });
  return offlineSaga({ journal, lease, plan, files, images, clock }, options.signal);
}

/** What `commitOffline` would do; it reads headers, tries locks, and changes nothing. Throws as that does. */
export async function planOfflineCommit(
  asked: OfflineCommitRequest,
  options: CommitOfflineOptions = {},
): Promise<OfflineCommitPlan> {
  const { ids = randomIds, files = localFiles, images = localImages } = options;
  const request = checkOfflineCommitRequest(asked);
  return planCommitOffline(request, { files, images, token: sagaToken(request.id ?? ids()) });
}

/** How an offline commit is resumed. */
export interface OfflineResume extends CommitOfflineOptions, AcceptRestored {
  /** As of `recoverOffline`. */
  readonly acceptImages?: readonly string[];
  readonly back?: boolean;
  readonly force?: boolean;
}

/** Continues where the process died, or after what failed was repaired. Throws before anything is touched. */
export async function resumeOfflineCommit(
  journal: Journal,
  row: SagaRow,
  options: OfflineResume,
): Promise<Saga> {
  const { clock = systemClock, files = localFiles, images = localImages, back = false } = options;
  expectReadable(row);
  const plan = planOf(row);
  const decided = checkedJournal(journal)
    .records(row.id)
    .some(({ kind }) => kind === 'decision');
  if (back && decided) {
    throw new BlocksagaError(
      'SAGA_STATE',
      `saga ${row.id} has taken its decision and only rolls forward: leave out --back`,
      { saga: row.id },
    );
  }
  if (row.state === 'open' || row.state === 'needsRecovery')
    expectNewestOrAccept(journal, row, options, 'offlineCommit');
  for (const { disk, image } of back ? [] : written(plan)) await awaitFree(disk, image, images, clock);
  const lease = await seize(journal, row.id, options.force ?? false, clock);
  // Asked to roll back before it begins, it does nothing.
  const signal = back ? AbortSignal.abort() : options.signal;
  const { acceptImages: accepted = [] } = options;
  return offlineSaga({ journal, lease, plan, files, images, clock, accepted }, signal);
}

function planOf({ id, planVersion, plan }: SagaRow): OfflineCommitPlan {
  if (planVersion === PLAN_VERSION) return plan as object as OfflineCommitPlan;
  throw new BlocksagaError(
    'JOURNAL',
    `saga ${id} was planned by another version of blocksaga (plan version ${planVersion}): continue with that one`,
    { saga: id, effect: 'notApplied' },
  );
}

/** The images that may have to be written to: bases, and those whose headers change. */
function written({ disks, merges }: OfflineCommitPlan) {
  return disks.flatMap(({ disk, chain }, at) =>
    [merges[at]?.base, (merges[at]?.top ?? 0) - 1].flatMap(place => {
      const image = chain[place ?? -1];
      return image === undefined ? [] : [{ disk, image }];
    }),
  );
}

async function awaitFree(
  disk: string,
  image: Parameters<Images['look']>[0],
  images: Images,
  clock: Clock,
): Promise<void> {
  for (let poll = 1; ; poll += 1) {
    const why = await images.whyNotWritable(image);
    if (why === undefined) return;
    if (poll === LOCK_POLLS_MAX) {
      throw new BlocksagaError(
        'DISK_BUSY',
        `disk ${disk}: ${image.file} cannot be written to; a qemu-img of the process that died may still be at work on it, or a guest runs on it: wait or stop that, then run this again (${why})`,
        { disk },
      );
    }
    await sleep(clock, LOCK_POLL_MS);
  }
}

function knownSaga(row: SagaRow, asked: OfflineCommitRequest): Saga {
  const { id, operation, request, state } = row;
  if (operation !== COMMIT_OFFLINE || !isSameRequest(operation, request as object, asked))
    throw sagaExists(id);
  if (state === 'committed' || state === 'rolledBack') return endedSaga(row);
  throw new BlocksagaError(
    'SAGA_STATE',
    `saga ${id} has been submitted before and has not ended: continue with "blocksaga resume --offline ${id}"`,
    { saga: id },
  );
}
