/**
 * The promise as laws over one account: each a name, a sentence, and a check that gives the violation in words. They look
 * at the world that the simulator had, and take from the engine only the outcome that it claims. A law is added as a row
 * here, with its check in the file of its kind; what it does not blame a saga for is a row of the table in `excuses.ts`, and
 * the defect that it notices one in `property-tests/mutations.test.ts`.
 */
import type { Account } from '../account/account.ts';
import { bootReadsIt } from './boot-law.ts';
import { deadLeaveOneSet, newestIsKept, stuckLeaveOneSet } from './dead-laws.ts';
import { decidedStays } from './decided-law.ts';
import { eachEnd } from './each-end.ts';
import { staysEncrypted } from './encryption-law.ts';
import { allOrNone, guestRuns, leavesToOthers, nothingLost, unlinked } from './end-laws.ts';
import type { Excuse } from './excuse.ts';
import { EXCUSES } from './excuses.ts';
import { filtersStay } from './filter-law.ts';
import { oneInstant } from './instant-law.ts';
import { commitsBesideNoMigration, resumesItsOwnPause } from './migration-laws.ts';
import { leftIsTold, nothingLeft } from './nothing-left-law.ts';
import { judgeOrder } from './order.ts';
import {
  askedBackGoesBack,
  crashIsResume,
  itEnds,
  pauseBounded,
  qemuSurvives,
  recoveryIsTheException,
} from './outcome-laws.ts';
import { type Pardon, pardonOf } from './pardon.ts';
import { readsWhatItWrote } from './reads-law.ts';
import { recordsAreTold } from './told-law.ts';
import { keepsUnplugged } from './unplugged-law.ts';

export interface Law {
  readonly name: string;
  readonly says: string;
  /** What is wrong, or undefined. */
  readonly check: (account: Account, pardon: Pardon) => string | undefined;
}

/** A violation of one law. */
export interface Violation {
  readonly law: string;
  readonly what: string;
}

export const LAWS: readonly Law[] = [
  {
    name: 'sound',
    says: 'no assumption of engine or simulator breaks, and no wait is endless',
    check: ({ crash }) => crash,
  },
  {
    name: 'all or none',
    says: 'at committed every named disk has its new front image (a clone: its copy), at rolledBack its old one, and others are untouched',
    check: eachEnd(allOrNone),
  },
  {
    name: 'one instant',
    says: 'the images that are left behind, with what third parties have put on them meanwhile, are a consistent cut of the guest’s writes',
    check: eachEnd(oneInstant),
  },
  {
    name: 'nothing lost',
    says: 'every acknowledged write is readable, whenever the guest runs, and through QEMU and in the files opened anew; no image that is in use was removed',
    check: (account, pardon) =>
      unlinked(account) ??
      eachEnd(nothingLost)(account, pardon) ??
      eachEnd(readsWhatItWrote)(account, pardon),
  },
  {
    name: 'a boot reads it too',
    says: 'at committed and rolledBack the disks’ images, opened anew by their names and headers alone, read as the guest reads them, or the result names the image that a third party took its name from',
    check: eachEnd(bootReadsIt),
  },
  {
    name: 'an unplugged disk keeps its image',
    says: 'the image that a disk was on when a third party unplugged it reads as the guest read it last, and the result names it',
    check: eachEnd(keepsUnplugged),
  },
  {
    name: 'filters stay',
    says: 'at committed and rolledBack each disk is below the filters of its administrator that it was below before, in their order',
    check: eachEnd(filtersStay),
  },
  {
    name: 'encrypted stays encrypted',
    says: 'whatever comes of it, no image that the saga made for a disk that is encrypted is in the clear, nor one that the disk is left on',
    check: eachEnd(staysEncrypted),
  },
  {
    name: 'nothing left',
    says: 'at committed and rolledBack no job, node, filter, group, bitmap or file of the saga is left but those it names',
    check: eachEnd(nothingLeft),
  },
  {
    name: 'leftovers tell all',
    says: 'at committed and rolledBack the result names every job, node, group and file of the saga that is left, and nothing that is not there',
    check: eachEnd(leftIsTold),
  },
  {
    name: 'no newer image is given up',
    says: 'whatever older copy of the journal is put back, the guest ends on images that hold every acknowledged write, and none that holds one alone is removed',
    check: newestIsKept,
  },
  {
    name: 'only what is ours',
    says: 'no file that the saga did not make, or has given up, is removed or written',
    check: leavesToOthers,
  },
  {
    name: 'the guest runs',
    says: 'a guest that ran runs at the end of every path, thawed, and one that was paused stays paused',
    check: eachEnd(guestRuns),
  },
  {
    name: 'its own pause',
    says: 'cont is sent only in a pause that the saga brought about, and to no guest that is being migrated or has been, as far as a look could tell',
    check: resumesItsOwnPause,
  },
  {
    name: 'beside no migration',
    says: 'no saga commits that decided while a live migration was under way, or when the guest had left, as far as a look could tell',
    check: commitsBesideNoMigration,
  },
  {
    name: 'the pause is bounded',
    says: 'no pause is longer than the permitted blackout, unless a fault keeps the orchestrator from ending it',
    check: pauseBounded,
  },
  {
    name: 'QEMU survives',
    says: 'nothing that a saga does makes QEMU crash',
    check: qemuSurvives,
  },
  {
    name: 'it ends',
    says: 'once faults stop, every saga that is resumed reaches committed or rolledBack within a minute of virtual time, and the rests between its pauses, unless its QEMU is gone',
    check: itEnds,
  },
  {
    name: 'recovery is the exception',
    says: 'needsRecovery is claimed only when QEMU is gone or was replaced: each fault but a full disk strikes once, and there is always a way',
    check: recoveryIsTheException,
  },
  {
    name: 'crash is resume',
    says: 'where only the orchestrator died, the outcome is the one of a run without its death',
    check: crashIsResume,
  },
  {
    name: 'in order',
    says: 'one step at a time, its intent durable before its first byte; each is undone at most once, newest first, and nothing is done meanwhile',
    check: ({ crash, records, disorder, scenario }) =>
      crash === undefined && scenario.wish.operation !== 'commitOffline'
        ? (judgeOrder(records) ?? disorder)
        : undefined,
  },
  {
    name: 'decided stays decided',
    says: 'no undo begins once a decision has taken effect, but where a live migration had begun in the same pause',
    check: decidedStays,
  },
  {
    name: 'asked to roll back, rolls back',
    says: 'an abort that is in the journal before the step that decides has begun is heeded, and is the error of a saga that failed by nothing else',
    check: askedBackGoesBack,
  },
  {
    name: 'the dead leave one set',
    says: 'after QEMU or its host died an offline recovery names all old or all new images, which boot and hold every acknowledged write (a power cut: every flushed one), and leaves nothing else',
    check: deadLeaveOneSet,
  },
  {
    name: 'the stuck end offline',
    says: 'a saga that needs recovery to the last while its QEMU lives ends by an offline recovery once that is shut down, as after a death',
    check: stuckLeaveOneSet,
  },
  {
    name: 'the records are told',
    says: 'onCommit is told of the new disks of every saga that commits, and of none that does not',
    check: recordsAreTold,
  },
];

/** All that is wrong with a run; with other excuses than all of them to see what one is for. */
export function judge(account: Account, excuses: readonly Excuse[] = EXCUSES): readonly Violation[] {
  const pardon = pardonOf(account, excuses);
  return LAWS.flatMap(({ name, check }) => {
    const what = check(account, pardon);
    return what === undefined ? [] : [{ law: name, what }];
  });
}
