/**
 * Which images hold what the guest wrote last, now that its QEMU is gone: decided for the set as a whole, from the plan
 * and the journal's records alone. Pure; what it takes to make it true on the disk is `recover-offline.ts`'s.
 *
 * It rests on one rule that all steps keep: before the guest may write to one side of a disk, a record that says so is
 * durable. So the last word in the journal is true of what was written, unless the journal is an older copy, or a third
 * party has switched a disk: what the images say against it is asked by `ask-images.ts`.
 */
import type { JournalRecord } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Choice, Side } from './offline-choices.ts';
import { areNeverTaken, readSides, wasOnImages } from './recorded-sides.ts';

/** What is to be done about one disk's new image. */
export type OfflineAction =
  /** It is the one to boot from, and stands. */
  | 'keep'
  /** It is the one to boot from; where it is missing or cannot be read it never held a flushed write and is made anew. */
  | 'keepOrMake'
  /** It holds what was written last, and all disks roll back: its data moves into the old image. */
  | 'moveBack'
  /** It holds nothing that counts: it goes, if the saga made it. */
  | 'drop'
  /** It is the one to boot from, as it was: the saga changes only what is below it, and has not begun to. */
  | 'asIs'
  /** It is the one to boot from, and what is below it is to be shortened, where QEMU has not done so. */
  | 'shorten'
  /** It is the one to boot from, and what the old one above it holds is to be committed into it. */
  | 'commitDown'
  /** It is the one to boot from, and what the old one shows is to be copied into it. */
  | 'moveForward'
  /** A finished copy beside the guest's disks: it stays, and is not booted from. */
  | 'leave';

/** What becomes of one disk. */
export interface OfflineDisk {
  readonly index: number;
  readonly front: 'old' | 'new';
  readonly action: OfflineAction;
}

/** What becomes of the saga. */
export interface OfflineVerdict {
  readonly outcome: 'committed' | 'rolledBack';
  /** For people: which record decided, and what follows. */
  readonly why: string;
  readonly disks: readonly OfflineDisk[];
  /** Whether the guest is known to have been on the new images, so that a missing one was lost after the saga. */
  readonly wasOnImages: boolean;
  /** Whether it is known not to have been: nothing that counts was ever in a missing one. */
  readonly wasNeverOnImages: boolean;
}

/** What counts besides the records. */
export interface OfflineFacts {
  /** A snapshot whose overlays hold the newest data is to be rolled back. */
  readonly back?: boolean;
  /** The first chain of jobs that could not be held back is found shortened, which decides for the others. */
  readonly begunToShorten?: boolean;
  readonly choices?: readonly Choice[];
  /** The group of a clone has committed: its copies were complete. */
  readonly isCommitted?: boolean;
}

/** Decides. */
export function decideOffline(
  plan: Plan,
  records: readonly JournalRecord[],
  { back = false, begunToShorten = false, choices = [], isCommitted = false }: OfflineFacts = {},
): OfflineVerdict {
  const choice = choices.find(({ operation }) => operation === plan.operation);
  const recorded = readSides(plan, records);
  const { decided, keepsCopies } = recorded;
  const isOfEach = choice?.others !== undefined;
  const sides = isOfEach
    ? plan.disks.map(({ index }) => (choice.disks.includes(index) ? ('new' as const) : ('old' as const)))
    : recorded.sides;
  const wasNeverOnImages = areNeverTaken(records) && recorded.seen.every(side => side === 'old');
  const was = { wasOnImages: wasOnImages(records), wasNeverOnImages };
  const all = (outcome: OfflineVerdict['outcome'], front: Side, action: OfflineAction, why: string) => ({
    outcome,
    why,
    ...was,
    disks: plan.disks.map(({ index }) => ({ index, front, action })),
  });
  if (choice !== undefined && !isOfEach) return { ...chosen(plan, choice), ...was };
  // A commit that was only to try has no copies to keep: one that a third party has completed is decided as one to finish.
  if (plan.operation === 'copy' && (plan.strategy === null || keepsCopies)) {
    return decided || isCommitted
      ? all(
          'committed',
          'old',
          'leave',
          'the copies were complete; the guest was on its old images all along',
        )
      : all('rolledBack', 'old', 'drop', 'the copies were not complete; the guest was on its old images');
  }
  if ('rewrites' in plan) {
    return decided || begunToShorten
      ? all(
          'committed',
          'new',
          'shorten',
          decided
            ? 'the decision had been taken: all chains are shortened, by qemu-img now'
            : 'QEMU had shortened the first chain, which decides: all are shortened, by qemu-img now',
        )
      : all('rolledBack', 'old', 'asIs', 'no decision had been taken: every chain is as it was');
  }
  if (sides.every(side => side === 'old')) {
    return all('rolledBack', 'old', 'drop', 'no decision had been taken: every disk is on its old image');
  }
  if (plan.operation === 'commit' && sides.includes('old')) {
    return {
      outcome: 'committed',
      why: `${isOfEach ? SAID : 'the guest had been resumed with some disks merged'}: those hold what it wrote, so the others are merged too`,
      ...was,
      disks: plan.disks.map(({ index }) => ({
        index,
        front: 'new' as const,
        action: sides[index] === 'new' ? ('keep' as const) : ('commitDown' as const),
      })),
    };
  }
  if (back || sides.includes('old')) {
    return {
      outcome: 'rolledBack',
      why: back
        ? 'it was asked for: what the new images hold goes back into the old ones'
        : `${isOfEach ? SAID : 'the guest had been resumed with some disks on each side'}: what the new images hold goes back into the old ones`,
      ...was,
      disks: plan.disks.map(({ index }) => ({
        index,
        front: 'old' as const,
        action: sides[index] === 'new' ? ('moveBack' as const) : ('drop' as const),
      })),
    };
  }
  return plan.operation === 'snapshot' || plan.operation === 'revert'
    ? all(
        'committed',
        'new',
        'keepOrMake',
        'the decision had been taken: every overlay is empty or holds what was written last',
      )
    : all(
        'committed',
        'new',
        'keep',
        'the decision had been taken: every new image is as the old one was, or newer',
      );
}

const SAID = 'it was said that the guest ran last on the new images of some disks';

/** Against the journal, as it was chosen: the disks that were in doubt hold what counts, and the others follow them. */
function chosen(
  plan: Plan,
  { front, disks }: Choice,
): Omit<OfflineVerdict, 'wasOnImages' | 'wasNeverOnImages'> {
  const actionOf = (index: number): OfflineAction => {
    if (front === 'old') return 'drop';
    if (plan.operation === 'snapshot' || plan.operation === 'revert') return 'keepOrMake';
    if (disks.includes(index)) return 'keep';
    return plan.operation === 'commit' ? 'commitDown' : 'moveForward';
  };
  return {
    outcome: front === 'new' ? 'committed' : 'rolledBack',
    why: `journal and images told different stories, and it was said that the guest ran last on the ${front === 'new' ? 'new' : 'old'} images`,
    disks: plan.disks.map(({ index }) => ({ index, front, action: actionOf(index) })),
  };
}
