/**
 * Ends a saga whose QEMU is gone, without any QEMU: decides from the journal which images are the right ones, for the set
 * as a whole, makes that true on the disk, and says what to boot from. Run again after a death in its middle it comes to
 * the same. Nothing is removed that a chain or another saga names, or that cannot be proved to be the saga's own.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Files } from '../../images/files.ts';
import type { Images } from '../../images/images.ts';
import { localFiles } from '../../images/local-files.ts';
import { localImages } from '../../images/local-images.ts';
import type { Journal, JournalRecord, SagaRow } from '../../journal/journal.ts';
import { sagaIsUnknown } from '../../journal/refusals.ts';
import { COMMIT_OFFLINE } from '../../operations/plan-commit-offline.ts';
import type { Plan, Program } from '../../plan/plan.ts';
import { type Clock, systemClock } from '../../qmp/clock.ts';
import type { Connect } from '../../qmp/transport.ts';
import { Fence, seize } from '../connection/fence.ts';
import { type Publisher, toldTo } from '../connection/publish.ts';
import { checkedJournal } from '../durable/checked-journal.ts';
import { hasCommitted } from '../durable/group-register.ts';
import { History } from '../durable/history.ts';
import { orLetGo } from '../durable/let-go.ts';
import {
  type AcceptRestored,
  expectNewest,
  expectNewestOrAccept,
  expectNotBehind,
  isOlder,
  mayBeOlder,
  wasBehind,
} from '../durable/newest-journal.ts';
import { resumeOfflineCommit } from '../offline-commit/commit-offline.ts';
import type { SagaResult } from '../running/result.ts';
import { askBefore } from './ask-before.ts';
import type { OfflineFacts } from './decide-offline.ts';
import { expectOffline } from './expect-offline.ts';
import { asBooted, expectRightFiles, rightfulFiles, type SaidRight } from './expect-right-files.ts';
import type { SaidAbove } from './find-above.ts';
import { ofThoseLeft, withoutLeft } from './left-before.ts';
import { refuseLivingQemu } from './living-qemu.ts';
import type { Choice, Fronts } from './offline-choices.ts';
import { lookAtImages } from './offline-images.ts';
import { lastOf, type OfflineEnd, offlineEnd } from './offline-parts.ts';
import { offlineProgress } from './offline-progress.ts';
import { planToResume } from './plan-to-resume.ts';
import { rememberBehind } from './remember-behind.ts';
import { settleOffline } from './settle-offline.ts';
import { hasBegunToShorten } from './shorten-offline.ts';

/** How to recover; only what differs from the usual must be said. */
export interface OfflineOptions extends AcceptRestored, SaidAbove, SaidRight {
  /** Where the saga's QEMU would answer if it lived; the address in the journal unless said. */
  readonly qmp?: string | Connect;
  /**
   * Promises that the saga's QEMU is dead and stays so: no process of it runs, on any host, that has these images open or may
   * open them again. Nothing is asked at its address then, where another QEMU may answer by now, or nothing ever does. A
   * promise that is not true costs the guest's data: two write to one image. Images that are seen to be in use are refused.
   */
  readonly qemu?: 'dead';
  /** Rolls a snapshot back although its overlays could stay: what they hold goes into the images below them. */
  readonly back?: boolean;
  /**
   * On which images the guest ran last, where the images contradict the journal or that is an older copy: `old` are those from before
   * the saga, `snapshot` the overlays of a snapshot with mirrors; where that is not the same of all disks, of each by its name. What is
   * not taken is kept. Not heard while another file stands under the name of an image of either side, or, of an older journal's, nothing.
   * Refused where nothing is in doubt and the journal says otherwise.
   */
  readonly front?: Fronts;
  /** Takes the saga from a process that is alive but stopped or hung. */
  readonly force?: boolean;
  /** Told of the new disks when this commits the saga, if it was begun with an `onCommit`. */
  readonly publisher?: Publisher;
  /** Another program to be told than the one that the saga was begun with. */
  readonly onCommit?: Program;
  readonly clock?: Clock;
  /** Files and images on QEMU's host; this machine's unless said. */
  readonly files?: Files;
  readonly images?: Images;
}

/**
 * Recovers one saga. The result's `boot` names the images to boot from; a saga that has ended gives its result again.
 *
 * Throws SAGA_UNKNOWN; SAGA_STATE while the saga's QEMU lives; JOURNAL_BEHIND where the images contradict the journal;
 * VM_BUSY while its process does; DISK_BUSY when another program writes to an image that is not the right one or has to
 * be changed; FILES for what could not be read or changed; REQUEST_INVALID for `back` where it has no meaning; PUBLISH
 * when `onCommit` did not take the new disks; JOURNAL for a saga of another version.
 *
 * @example
 * ```ts
 * const { outcome, boot } = await recoverOffline(openJournal('/var/lib/blocksaga/journal.db'), '4kq2p9v1x0c7m');
 * for (const { disk, file, format } of boot ?? []) console.log(disk, file, format, outcome);
 * ```
 */
export async function recoverOffline(
  given: Journal,
  id: string,
  options: OfflineOptions = {},
): Promise<SagaResult> {
  expectOffline(options);
  const journal = checkedJournal(given);
  const { clock = systemClock, files = localFiles, images = localImages } = options;
  const row = journal.saga(id);
  if (row === undefined) throw sagaIsUnknown(id);
  if (row.state === 'committed' || row.state === 'rolledBack') return row.result as object as SagaResult;
  if (row.operation === COMMIT_OFFLINE) return (await resumeOfflineCommit(journal, row, options)).result;
  const plan = toldTo(options.onCommit, planToResume(row));
  const records = journal.records(id);
  const progress = offlineProgress(records);
  const isOld = !progress.begun && !options.acceptRestored && (isOlder(journal, id) || wasBehind(row));
  if (isOld && options.front === undefined) {
    expectNewest(journal, row, 'offline');
    expectNotBehind(row);
  }
  if (options.qemu !== 'dead')
    await rememberBehind({ id, plan, journal, clock }, () =>
      refuseLivingQemu(id, plan, options.qmp ?? row.address, clock, () => journal.records(id)),
    );
  const begunToShorten = progress.begun
    ? progress.begunToShorten
    : await hasBegunToShorten(withoutLeft(plan, records), images);
  const { begun, settled } = progress;
  const isTold = begun && plan.operation === 'snapshot';
  const decided = isTold ? undefined : await toldByGroup(given, clock, plan, records, options.force ?? false);
  const isLeft = plan.operation === 'snapshot' && decided === 'rolledBack';
  if (!begun && options.back) refuseBackOfGroup(plan, isLeft, id);
  const back = begun ? progress.back : isLeft || (options.back ?? false);
  const decide = (choices: readonly Choice[]) =>
    decideAll(row, plan, records, { back, begunToShorten, choices, isCommitted: decided === 'committed' });
  const accepted = [...progress.accepted, ...(options.acceptImages ?? [])];
  const rightful = rightfulFiles({ id, plan, records }, accepted, begun);
  const isUntold = !progress.begun && !options.acceptRestored && mayBeOlder(journal, id);
  const asking = { decide, records, isOlder: isOld, isUntold, said: options, rightful };
  const found = begun ? progress : await askBefore(row, plan, asking, { images, files });
  const end = decide(found.choices);
  const { parts } = end;
  const last = lastOf(end);
  await expectRightFiles(settled ? [asBooted(last)] : parts, rightful, { files, images }, 'before');
  for (const part of settled ? [] : parts) {
    await lookAtImages(part.plan, part.verdict, images, { isFirst: part === last });
  }
  if (options.acceptRestored) expectNewestOrAccept(journal, row, options);
  const lease = await seize(journal, id, options.force ?? false, clock);
  const facts = {
    row,
    plan,
    records,
    end,
    found,
    rightful,
    begun,
    settled,
    back,
    begunToShorten,
    accepted,
  };
  const fence = new Fence({ journal, lease, clock });
  const host = { files, images, clock, publisher: options.publisher, journal, lease, fence };
  return orLetGo(journal, lease, () => settleOffline(facts, host));
}

/** What the group of the saga has decided, where it has one and no word of its own: what overlays hold goes back, or copies stay. */
async function toldByGroup(
  journal: Journal,
  clock: Clock,
  { group }: Plan,
  records: readonly JournalRecord[],
  force: boolean,
): Promise<'committed' | 'rolledBack' | undefined> {
  if (group === undefined || new History(records).decision === 'forward') return undefined;
  return (await hasCommitted(journal, clock, group.id, force)) ? 'committed' : 'rolledBack';
}

/** Throws SAGA_STATE: the other guests of the group stay on their overlays. */
function refuseBackOfGroup(plan: Plan, isLeft: boolean, id: string): void {
  const { group, operation } = plan;
  if (group === undefined || operation !== 'snapshot' || isLeft) return;
  throw new BlocksagaError(
    'SAGA_STATE',
    `saga ${id} belongs to group ${group.id}, which has committed on all of its guests: recover it forward; "blocksaga commit --offline" merges its overlays afterwards`,
    { saga: id },
  );
}

function decideAll(
  row: SagaRow,
  plan: Plan,
  records: readonly JournalRecord[],
  facts: OfflineFacts,
): OfflineEnd {
  const end = ofThoseLeft(offlineEnd(plan, records, facts), records);
  if (facts.back && end.parts.at(-1)?.plan.operation !== 'snapshot') {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `only a snapshot can be rolled back offline, by moving what its overlays hold; saga ${row.id} is a ${row.operation}: recover it forward`,
      { saga: row.id },
    );
  }
  return end;
}
