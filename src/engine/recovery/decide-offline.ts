/**
 * Which images hold what the guest wrote last, now that its QEMU is gone: decided for the set as a whole, from the plan
 * and the journal's records alone. Pure; what it takes to make it true on the disk is `recover-offline.ts`'s.
 *
 * It rests on one rule that all steps keep: before the guest may write to one side of a disk, a record that says so is
 * durable. So the last word in the journal is true of what was written, unless the journal is an older copy, or a third
 * party has switched a disk: what the images say against it is asked by `ask-images.ts`.
 */
import { member } from '../../journal/body.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import type { Plan, StagePlan } from '../../plan/plan.ts';
import { RESCUE } from '../durable/history.ts';
import type { SettledAbove } from './find-above.ts';

/** The step under which an offline recovery keeps its own records. */
export const OFFLINE = 'recoverOffline';

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

/** What an earlier offline recovery of the same saga has written. */
export interface OfflineProgress {
  readonly begun: boolean;
  /** Whether all roll back though they could roll forward, as was asked. */
  readonly back: boolean;
  /** Whether the first chain was found shortened. */
  readonly begunToShorten: boolean;
  /** The sides that were chosen where journal and images told different stories. */
  readonly choices: readonly Choice[];
  /** Images that stay, whatever becomes of the disks. */
  readonly kept: readonly KeptImage[];
  readonly above: SettledAbove;
  /** Files that were said to be the right ones. */
  readonly accepted: readonly string[];
  /** Whether the images are as they should be, so that only removing is left. */
  readonly settled: boolean;
}

type Side = 'old' | 'new';

export const FRONTS = ['old', 'snapshot', 'new'] as const satisfies readonly (Side | 'snapshot')[];

/** On which images a guest ran last: those from before the saga, its own, or the overlays of a snapshot with mirrors. */
export type Front = (typeof FRONTS)[number];

/** The same of all disks, or of each by its name. */
export type Fronts = Front | Readonly<Record<string, Front>>;

/** What an administrator has said of the disks whose images contradict the journal: on which ones the guest ran last. */
export interface Choice {
  readonly front: Side;
  /** Indices of the disks that were in doubt; all others are as the journal says. */
  readonly disks: readonly number[];
  /** The stage whose images they are. */
  readonly operation: StagePlan['operation'];
  /** Where it was said of each disk: all others were on their old images, as if the journal had recorded that. */
  readonly others?: 'old';
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
  const wasOnImages = records.some(
    ({ kind, step, body }) => kind === 'outcome' && TAKES.has(step) && member(body, 'error') === null,
  );
  const wasNeverOnImages = areNeverTaken(records) && recorded.seen.every(side => side === 'old');
  const was = { wasOnImages, wasNeverOnImages };
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

/** What an earlier run of the recovery has come to. */
export function offlineProgress(records: readonly JournalRecord[]): OfflineProgress {
  const own = records.filter(record => record.step === OFFLINE);
  const begun = own.find(record => record.kind === 'intent');
  const above = member(member(begun?.body ?? null, 'observed'), 'above') as object | null;
  return {
    // An older program has not looked for any.
    above: (above ?? { ranOn: [], told: [], unseen: [] }) as OfflineProgress['above'],
    choices: (member(member(begun?.body ?? null, 'observed'), 'choices') ?? []) as object as Choice[],
    kept: (member(member(begun?.body ?? null, 'observed'), 'kept') ?? []) as object as KeptImage[],
    accepted: (member(member(begun?.body ?? null, 'observed'), 'accepted') ?? []) as object as string[],
    begun: begun !== undefined,
    back: member(member(begun?.body ?? null, 'observed'), 'back') === true,
    begunToShorten: member(member(begun?.body ?? null, 'observed'), 'begunToShorten') === true,
    settled: own.some(record => record.kind === 'outcome'),
  };
}

/** Steps after which the guest is known to be on the new images. */
const TAKES: ReadonlySet<string> = new Set([
  'takeSnapshot',
  'takeSnapshotSync',
  'takeSnapshotsOneByOne',
  'takeSnapshotInPause',
  'reopenFilters',
  'rebaseOverlays',
  'finalizeMirrors',
  'completeMirrors',
]);

/** By its last outcome the step that puts the overlays on all disks at once has done nothing, and none has begun it again. */
function areNeverTaken(records: readonly JournalRecord[]): boolean {
  let begun = '';
  let isNever = false;
  for (const { kind, step, body } of records) {
    // A saga that is stranded in a step tries it again without another intent.
    if (kind === 'intent' && step === RESCUE) isNever &&= !AT_ONCE.has(begun);
    else if (kind === 'intent') begun = step;
    if (AT_ONCE.has(step) && (kind === 'intent' || kind === 'outcome'))
      isNever = kind === 'outcome' && member(member(body, 'error'), 'effect') === 'notApplied';
  }
  return isNever;
}

const AT_ONCE: ReadonlySet<string> = new Set(['takeSnapshot', 'takeSnapshotSync']);

/** What the last decision says. */
interface Decided {
  /** By disk, the side that the guest may have written to last: the decision's, or as it was seen after it. */
  readonly sides: readonly Side[];
  /** The same as a look has told it last; old where none has. */
  readonly seen: readonly Side[];
  readonly decided: boolean;
  /** It is about copies that were to be kept without a switch, and was taken with their cut. */
  readonly keepsCopies: boolean;
}

function readSides(plan: Plan, records: readonly JournalRecord[]): Decided {
  let sides: Side[] = plan.disks.map(() => 'old');
  let seen = sides;
  let decided = false;
  let keepsCopies = false;
  for (const { kind, step, body } of records) {
    if (kind !== 'decision') continue;
    const verdict = member(body, 'verdict');
    const onImage = member(body, 'onImage');
    if (verdict === 'asIs' && Array.isArray(onImage)) {
      sides = plan.disks.map(disk => (onImage.includes(disk.index) ? 'new' : 'old'));
      seen = sides;
    } else {
      decided = verdict === 'forward';
      keepsCopies = decided && step === 'endMirrorsInPlace';
      sides = plan.disks.map(() => (decided ? 'new' : 'old'));
    }
  }
  return { sides, seen, decided, keepsCopies };
}

/** An image that stays whatever the verdict says of it, and why. */
export interface KeptImage {
  readonly file: string;
  readonly why: string;
}
