/**
 * What the laws do not blame a saga for after a fault that has struck: fault, law, and the reason. A row is as narrow as it can be said.
 * Judges nothing by itself.
 */
import { LEAST_MS } from '../../engine/connection/pause-bound.ts';
import type { Account, Struck } from '../account/account.ts';
import { ASKS_TO_COMMIT } from '../account/asks-to-commit.ts';
import { MIGRATED_AWAY } from '../account/migration-watch.ts';
import { forgetsJobs } from '../scenario/since.ts';
import { areBothKept } from './both-sides.ts';
import type { ByFault } from './excuse.ts';
import {
  type EndJudged,
  isInDoubt,
  isLeftInCopy,
  isLeftOnIt,
  isMovedAndHeld,
  isOffItsFilter,
  isPutOver,
  isPutOverAndHeld,
  isSetAndHeld,
  isSwappedAndTold,
  isWhereItWasMoved,
  isWhereItWasSet,
  ranInTheSwitch,
  waitsForFile,
  wasSetAndHeld,
} from './excuse-conditions.ts';
import { wasKilledThere } from './killed-elsewhere.ts';
import { isOpenedByTheirs } from './opened-by-theirs.ts';
import { isOvertaken, isOvertakenUnmarked } from './overtaken.ts';

/** The verbs by which a third party decides about the vCPUs, which is then not the saga's to answer for. */
const MOVES_GUEST = ['stop', 'cont', 'system_reset', 'quit'] as const;

/** The verbs by which a third party has the guest write to disks that are merged or reverted before their saga decides. */
const PUT_ON_OTHER_SIDE = ['cont', 'job-complete', 'block-job-complete', 'job-finalize'] as const;

/** Also where that is not what the saga failed by first. */
function tellsOfMigration(
  error: { readonly code: string; readonly message: string } | null | undefined,
): boolean {
  return error?.code === 'MIGRATING' || /a live migration is under way while/.test(error?.message ?? '');
}

const COMMANDS_TO_CONT = (struck: Struck) => 'command' in struck.fault && struck.fault.command === 'cont';

export const BY_FAULT: readonly ByFault[] = [
  {
    ...{ law: 'the pause is bounded', fault: 'replyLate' },
    reason:
      'who waits for an answer cannot know whether the command took effect, for longer than the blackout',
  },
  {
    ...{ law: 'the pause is bounded', fault: 'replyLost', allowsMs: 150 },
    reason:
      'that a reply is lost shows by the answer to a later question, which is asked when no time is left too',
  },
  ...MOVES_GUEST.map(verb => ({
    ...{ law: 'the pause is bounded', fault: `otherClient ${verb}` },
    reason: 'a third party has moved the guest: when it stands and for how long is not ours alone',
  })),
  {
    ...{ law: 'the pause is bounded', fault: 'guestShutdown' },
    reason: 'a guest that has shut down does not run again',
  },
  {
    ...{ law: 'the pause is bounded', fault: 'cut', allowsMs: 200 },
    reason: 'a new connection is opened before the pause can be ended',
  },
  ...(['refuse lasting', 'jobNeverReady'] as const).map(fault => ({
    ...{ law: 'the pause is bounded' as const, fault, allowsMs: 200 },
    reason: 'what fails in a shorter pause than 200 ms still has that long to be undone in it',
    only: (_struck: Struck, { scenario }: Account) => scenario.wish.maxBlackoutMs < LEAST_MS,
  })),
  {
    ...{ law: 'the pause is bounded', fault: 'file', allowsMs: 200 },
    reason:
      'an image that a disk is to return to in the pause, and whose name leads elsewhere, is looked for as long as is permitted at the least',
    only: (_struck, { scenario }) => scenario.wish.maxBlackoutMs < LEAST_MS,
  },
  {
    ...{ law: 'the pause is bounded', fault: 'otherClient qom-set', allowsMs: 200 },
    reason:
      'a disk that is elsewhere behind the decision is looked for as long as that is permitted at the least',
    only: (_struck, { scenario }) => scenario.wish.maxBlackoutMs < LEAST_MS,
  },
  {
    ...{ law: 'the pause is bounded', fault: 'pivotRefused', allowsMs: 30 },
    reason: 'a job that puts a disk back is run again',
  },

  {
    ...{ law: 'QEMU survives', fault: 'kill' },
    reason: 'it was killed from outside',
  },
  {
    ...{ law: 'QEMU survives', fault: 'otherClient quit' },
    reason: 'a third party has asked it to end',
  },
  {
    ...{ law: 'QEMU survives', fault: 'otherClient qom-set' },
    reason: 'QEMU 7.2 aborts by itself when a drive is set to the node that it has',
  },
  {
    ...{ law: 'QEMU survives', fault: 'otherClient cont' },
    reason:
      'between two blockdev-add of ours it puts the next filter above a disk that is in its iothread again',
    only: (_struck, { scenario }) => scenario.guest.iothreads,
  },

  ...(['it ends', 'recovery is the exception'] as const).flatMap(law => [
    {
      ...{ law, fault: 'otherClient cont' },
      reason:
        'a guest that was resumed with only some of its disks merged has written where no rollback leads; and one that was resumed in front ' +
        'of the switch and behind it has written to both sides, neither of which holds all: both are kept, and named',
      only: (struck: Struck, account: Account, end: EndJudged) =>
        (end.result?.operation === 'commit' && end.result.strategy !== 'reopen') ||
        areBothKept(struck, account, end),
    },
    {
      ...{ law, fault: 'otherClient block_resize' },
      reason: 'a source of another size than its target can neither be switched nor mirrored back',
    },
    {
      ...{ law, fault: 'otherClient blockdev-snapshot' },
      reason:
        "in a QEMU that cannot be marked nothing tells a third party's overlay from a snapshot that an older journal lacks; and a copy " +
        'that was put on its disk is committed into it by no saga that does not know it to be newer',
      only: (struck: Struck, account: Account, end: EndJudged) => {
        const { wish } = account.scenario;
        const isUnmarked = wish.operation.startsWith('snapshot') && wish.without.includes('throttle-group');
        return isUnmarked || isPutOver(struck, account, end);
      },
    },
    {
      ...{ law, fault: 'otherClient block-export-add' },
      reason: 'QEMU does not close an image that is exported',
    },
  ]),
  {
    ...{ law: 'recovery is the exception', fault: 'refuse lasting' },
    reason:
      'what QEMU refuses again and again waits until it is allowed: the fault is of the unlimited budget',
  },
  {
    ...{ law: 'recovery is the exception', fault: 'otherClient blockdev-snapshot-sync' },
    reason:
      "before QEMU 3.1 a merge below a third party's overlay ends by itself, so that none can be held until all can end: the saga asks to have that overlay committed",
    only: (_struck, { scenario }, { result }) =>
      forgetsJobs(scenario.guest) && ASKS_TO_COMMIT.test(result?.error?.message ?? ''),
  },
  {
    ...{ law: 'nothing left', fault: 'refuse lasting' },
    reason: 'what QEMU does not close is left and named',
    only: (_struck, _account, { result }) => (result?.leftovers.length ?? 0) > 0,
  },
  ...(['it ends', 'recovery is the exception'] as const).map(law => ({
    ...{ law, fault: 'otherClient qom-set' },
    reason:
      'a disk that a third party has moved to another image, or off its filter, is where that one wants it, and stays there; and a new image ' +
      'to which its guest has written before it was mirrored to is not given up',
    only: (struck: Struck, account: Account, end: EndJudged) =>
      isWhereItWasSet(struck, account, end) ||
      isOffItsFilter(struck, account, end) ||
      isLeftInCopy(struck, account, end),
  })),
  ...(['it ends', 'recovery is the exception'] as const).map(law => ({
    ...{ law, fault: 'otherClient blockdev-reopen' },
    reason:
      "a disk that a third party has moved by the saga's filter while the guest ran stays where it is; a filter that its guest leaves at that " +
      'very instant stays, as the trace of what was written there',
    only: (struck: Struck, account: Account, end: EndJudged) =>
      isWhereItWasMoved(struck, account, end) || isLeftOnIt(struck, account, end),
  })),
  {
    ...{ law: 'nothing lost', fault: 'otherClient qom-set' },
    reason:
      'a guest that was moved to an image which lacks what it had written finds that in the image which it has left',
    only: (struck: Struck, account: Account, end: EndJudged) =>
      isSetAndHeld(struck, account, end) ||
      isLeftInCopy(struck, account, end) ||
      wasSetAndHeld(struck, account, end) ||
      wasKilledThere(struck, account, end),
  },
  {
    ...{ law: 'nothing lost', fault: 'otherClient blockdev-reopen' },
    reason:
      "a guest that was moved, by the saga's filter, to an image which lacks what it had written finds that in the image which it has left; " +
      'what it wrote where it was moved to at the very instant at which it left that filter is there, and the filter stays to tell',
    only: (struck: Struck, account: Account, end: EndJudged) =>
      isMovedAndHeld(struck, account, end) || isLeftOnIt(struck, account, end),
  },
  {
    ...{ law: 'nothing lost', fault: 'otherClient blockdev-snapshot' },
    reason:
      'a copy that was put on its disk hides what the guest had written there since, which is in the image below it still',
    only: isPutOverAndHeld,
  },
  {
    ...{ law: 'nothing lost', fault: 'otherClient cont' },
    reason:
      'QEMU has no command that both stops the guest and reopens: what it writes between the two commands of one batch is on the images that it ' +
      'leaves; nor does any undo it where a guest was resumed in front of the switch and behind it: both images of each disk are kept, and named',
    only: (struck, account, end) => ranInTheSwitch(struck) || areBothKept(struck, account, end),
  },

  ...(['it ends', 'recovery is the exception'] as const).map(law => ({
    ...{ law, fault: 'file' },
    reason:
      'an image that QEMU is to open by its name is not opened while another file stands there: one that was removed has no name any more, and none can be given to it',
    only: waitsForFile,
  })),
  {
    ...{ law: 'nothing lost', fault: 'file' },
    reason:
      'QEMU opens an image anew by its name when it is to be written to, or not any more: a file that is put there while it does so is read from then on',
    only: (struck: Struck, account: Account, end: EndJudged) =>
      isSwappedAndTold(struck, account, end) || isOpenedByTheirs(struck, account, end),
  },

  {
    ...{ law: 'filters stay', fault: 'otherClient qom-set' },
    reason: 'a third party that sets the drive of a disk takes it off its filters',
  },

  ...(['stop', 'cont', 'system_reset'] as const).map(verb => ({
    ...{ law: 'the guest runs', fault: `otherClient ${verb}` },
    reason: 'a third party has moved the guest: whether it runs is what that one wants',
  })),
  {
    ...{ law: 'its own pause', fault: 'otherClient cont' },
    reason: 'a third party has moved the guest inside the pause: whose pause it is since cannot be seen',
  },
  {
    ...{ law: 'its own pause', fault: 'otherClient stop' },
    reason:
      'a stop right in front of ours, or inside our pause, changes nothing that QEMU tells: docs/what-can-go-wrong.md',
  },
  ...(['it ends', 'recovery is the exception'] as const).map(law => ({
    ...{ law, fault: 'otherClient migrate' },
    reason:
      'a QEMU that the guest has left writes to no image; and whether a dead process had resumed a guest on its new images ' +
      'cannot be seen, while a migration leads to the old ones',
    only: (_struck: Struck, account: Account, { now, result }: EndJudged) =>
      MIGRATED_AWAY.has(now.runState) || (result?.error?.code === 'MIGRATING' && isInDoubt(account)),
  })),
  {
    ...{ law: 'beside no migration', fault: 'otherClient migrate' },
    reason: 'before QEMU 3.1 a job cannot be held back: it has shortened a chain before any look',
    only: (_struck, { records }) => records.some(({ step }) => step === 'rewriteFirst'),
  },
  {
    ...{ law: 'the guest runs', fault: 'otherClient migrate' },
    reason:
      'a third party has it migrated: it is in QEMU’s hands, or runs elsewhere, or waits for that to be cancelled',
    only: (_struck, _account, { now, outcome, result }) =>
      MIGRATED_AWAY.has(now.runState) || (outcome === 'needsRecovery' && tellsOfMigration(result?.error)),
  },
  {
    ...{ law: 'the guest runs', fault: 'otherClient quit' },
    reason: 'a third party has asked QEMU to end: its guest is shut down before the process is gone',
    only: (_struck, _account, { now }) => now.runState === 'shutdown',
  },
  {
    ...{ law: 'the guest runs', fault: 'guestShutdown' },
    reason: 'a guest that has shut down does not run again',
  },
  ...(['refuse', 'replyLost', 'replyLate', 'cut'] as const).map(fault => ({
    ...{ law: 'the guest runs', fault },
    reason: 'the very command that resumes the guest went wrong: resume sends it again',
    only: (struck: Struck, _account: Account, { outcome }: EndJudged) =>
      outcome === 'needsRecovery' && COMMANDS_TO_CONT(struck),
  })),

  {
    ...{ law: 'asked to roll back, rolls back', fault: 'refuse' },
    reason:
      'where QEMU refuses the mark that is to tell it, nothing tells whether the guest has run since a process died in the pause, and what it may have ' +
      'written to merged disks a rollback would hide',
    only: isOvertakenUnmarked,
  },
  ...PUT_ON_OTHER_SIDE.map(verb => ({
    ...{ law: 'asked to roll back, rolls back', fault: `otherClient ${verb}` },
    reason:
      'what a guest has written to merged or reverted disks, or may have between two looks at it, is nowhere else, and a rollback would lose it',
    only: (_struck: Struck, account: Account) => isOvertaken(account),
  })),
];
