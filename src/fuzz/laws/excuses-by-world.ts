/**
 * What the laws do not blame a saga for in a world that its scenario has made so, without any fault: the world, the law, and the
 * reason. A row is as narrow as it can be said. Judges nothing by itself.
 */
import type { Account } from '../account/account.ts';
import { forgetsJobs } from '../scenario/since.ts';
import { hasLostItsName, isCutElsewhere, isRemovedUnproved } from './elsewhere-law.ts';
import type { ByWorld } from './excuse.ts';
import { asksForAnothers, type EndJudged, isLeftHalfBack, isUntold } from './excuse-conditions.ts';
import { isRemovedForGood } from './moved-files.ts';
import { hasSwitchedTooLong, isOvertaken, isOvertakenUntold } from './overtaken.ts';

/** A pause of this length is enough for all that a saga does in it; milliseconds. */
const BLACKOUT_AMPLE_MS = 1_000;
const LAG_MS_MAX = 20;

export const BY_WORLD: readonly ByWorld[] = [
  {
    ...{ law: 'the pause is bounded', world: 'the orchestrator died' },
    reason: 'until another process resumes the saga there is none that could send cont',
    only: ({ deaths }) => deaths > 0,
  },
  {
    ...{ law: 'the pause is bounded', world: 'a live migration was under way when it ended' },
    reason:
      'a guest that is being migrated is resumed by no saga, which looks again only when it is resumed itself',
    only: ({ result }) => result?.outcome === 'needsRecovery' && result.error?.code === 'MIGRATING',
  },
  ...(['the guest runs', 'the pause is bounded'] as const).map(law => ({
    ...{ law, world: 'a disk was rolled back in part, above what was merged below it' },
    reason:
      'a guest that was resumed there would read what is older: it stays paused, and the result says so',
    only: isLeftHalfBack,
  })),
  ...(['it ends', 'recovery is the exception', 'crash is resume'] as const).flatMap(law => [
    {
      ...{ law, world: 'the records cannot be written' },
      reason: 'new disks are published again by resume once the keeper of the records takes them',
      only: (_account: Account, { result }: EndJudged) => result?.error?.code === 'PUBLISH',
    },
    {
      ...{ law, world: 'the agent is frozen and its guest paused' },
      reason: 'an agent answers only while its guest runs, so that it can be thawed',
      only: (_account: Account, { now }: EndJudged) => now.frozen && now.runState !== 'running',
    },
  ]),
  ...(
    [
      'it ends',
      'recovery is the exception',
      'crash is resume',
      'QEMU survives',
      'the guest runs',
      'nothing left',
      'leftovers tell all',
      'the dead leave one set',
    ] as const
  ).map(law => ({
    ...{ law, world: 'an older copy of the journal was put back' },
    reason:
      'such a journal is refused where it is known to be one, and the guest is shut down to settle it offline',
    only: ({ isRestored }: Account) => isRestored,
  })),
  {
    ...{ law: 'asked to roll back, rolls back', world: 'the pause was over with some disks merged' },
    reason:
      'a guest is not kept paused for an undo longer than that is permitted, and what it then writes to disks that were merged ' +
      'before the abort is nowhere else',
    only: account => isOvertaken(account) && hasSwitchedTooLong(account),
  },
  {
    ...{ law: 'recovery is the exception', world: 'the disk is full' },
    reason: 'it stays full: what the rollback has to write waits for room',
    only: ({ scenario }) => scenario.faults.some(({ kind }) => kind === 'diskFull'),
  },
  {
    ...{ law: 'the records are told', world: 'an older copy of the journal was put back' },
    reason: 'such a journal does not know whom its saga has told',
    only: ({ isRestored }) => isRestored,
  },
  {
    ...{ law: 'it ends', world: 'a name led elsewhere before the request' },
    reason:
      'QEMU would open and write to what stands under that name, and the saga cannot prove that it is the file which was put back: which one QEMU has open is said offline',
    only: asksForAnothers,
  },
  {
    ...{ law: 'the dead leave one set', world: 'third parties have removed files' },
    reason:
      'a file that has no name any more ends with the QEMU that has it open: which one is missing is said',
    only: (account: Account) => isRemovedForGood(account),
  },
  {
    ...{ law: 'no newer image is given up', world: 'third parties have removed files' },
    reason:
      'a file that has no name any more ends with the QEMU that has it open, and who sees no file of QEMU’s cannot miss it: the recovery says of what stands there that it was not proved',
    only: isRemovedUnproved,
  },
  ...(['the dead leave one set', 'no newer image is given up'] as const).map(law => ({
    ...{ law, world: 'the records cannot be written' },
    reason: 'onCommit did not take the new disks: the recovery says so, and is run again',
    only: isUntold,
  })),
  {
    ...{ law: 'the dead leave one set', world: "QEMU's files are elsewhere, and the power failed" },
    reason:
      'who does not see the directory of a new image cannot have its name survive a power cut: the recovery says which one is missing',
    only: isCutElsewhere,
  },
  {
    ...{ law: 'one instant', world: "QEMU's files are elsewhere, and the power failed" },
    reason: 'a clone that has lost its name with the power is one that its saga could not make durable',
    only: hasLostItsName,
  },
  {
    ...{ law: 'crash is resume', world: 'the agent of a paused guest is to freeze it' },
    reason: 'the agent of a paused guest does not answer',
    only: ({ scenario: { wish, guest } }) => 'quiesce' in wish && wish.quiesce === true && guest.paused,
  },
  {
    ...{ law: 'crash is resume', world: 'the pause is short, or the mirrors are slow' },
    reason: 'a pause too short for the last bytes may be given up for good',
    only: ({ scenario: { wish, pace } }) =>
      wish.maxBlackoutMs < BLACKOUT_AMPLE_MS || pace.mirrorLagMs > LAG_MS_MAX,
  },
  {
    ...{ law: 'crash is resume', world: 'a clone in a QEMU that forgets jobs' },
    reason: 'a clone whose end was not seen is rolled back where QEMU forgets it',
    only: ({ scenario: { wish, guest } }) =>
      wish.operation === 'copy' && wish.finish === 'clone' && forgetsJobs(guest),
  },
  {
    ...{ law: 'crash is resume', world: 'mirrors in QEMU 1.3' },
    reason:
      'what 1.3 does not say of a mirror after its event is found out by trying, and rolled back when it was not so',
    only: ({ scenario: { wish, guest } }) => guest.profile === '1.3' && 'finish' in wish,
  },
  {
    ...{ law: 'asked to roll back, rolls back', world: 'a QEMU that cannot be marked' },
    reason:
      'nothing there tells whether the guest has run since a process died in the pause, and what it may have written to merged disks a ' +
      'rollback would hide',
    only: isOvertakenUntold,
  },
  {
    ...{ law: 'crash is resume', world: 'a QEMU that cannot be marked' },
    reason: 'it cannot be told who has ended a mirror there, and when: the next process rolls back',
    only: ({ scenario: { wish }, deaths }, { outcome }) =>
      wish.without.includes('throttle-group') && deaths > 0 && outcome === 'rolledBack',
  },
];
