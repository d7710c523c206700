/** What one run of a scenario came to: facts for the laws to judge, and nothing judged yet. */
import type { SagaResult } from '../../engine/running/result.ts';
import { BlocksagaError, type ErrorRecord } from '../../errors.ts';
import type { JournalRecord, SagaRow } from '../../journal/journal.ts';
import type { Json } from '../../qmp/transport.ts';
import type { MovedFile } from '../../sim/host/foreign-files.ts';
import type { StruckPlace } from '../../sim/monitor/faults.ts';
import type { Definition } from '../../steps/finish/publish-definitions.ts';
import type { PlannedFault, Scenario, Signal } from '../scenario/scenario.ts';
import type { Asked } from '../scenario/wish-files.ts';
import type { ContSeen, MigrationSeen } from './migration-watch.ts';
import type { Opening } from './name-watch.ts';
import type { FlushedWrite, Sight } from './sight.ts';

/** A time for which the guest was paused, in milliseconds of virtual time. */
export interface Pause {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A fault that struck, and the state in which the saga was. */
export interface Struck {
  readonly fault: PlannedFault;
  /** The command before or after which it struck, for a fault that has such a place. */
  readonly at: StruckPlace | undefined;
  readonly state: string;
  /** The verbs of the batch that was sent last. */
  readonly sent: readonly string[];
  /** The images that the disks were on; asked where the guest was resumed. */
  readonly fronts: readonly string[];
  readonly atMs: number;
}

/** What an offline recovery came to, of a saga whose QEMU had died. */
export interface OfflineEnd {
  readonly result: SagaResult | undefined;
  readonly error: ErrorRecord | undefined;
  /** The images that it asked about before it went on. */
  readonly asked: readonly string[];
  /** A QEMU that was started on the images that it names. */
  readonly booted: Sight | undefined;
}

export interface Account {
  readonly scenario: Scenario;
  /** The saga as its journal has it at the end; absent for one that was refused, and where no machine ran it. */
  readonly row?: SagaRow;
  /** Before the request. */
  readonly before: Sight;
  /** When the saga had ended, with whatever faults struck. */
  readonly after: Sight;
  /**
   * When faults had stopped and the saga had been resumed until it ended other than as needsRecovery; the same as
   * `after` when it had already.
   */
  readonly atLast: Sight;
  /** Why the request was refused; undefined when it was begun. */
  readonly refusal: ErrorRecord | undefined;
  readonly result: SagaResult | undefined;
  readonly resultAtLast: SagaResult | undefined;
  /** How long the saga has taken, from the moment when faults had stopped until it ended; milliseconds of virtual time. */
  readonly calmMs: number;
  /** States entered, one list per process of the orchestrator. */
  readonly states: readonly (readonly string[])[];
  readonly struck: readonly Struck[];
  /** When it had ended as committed or rolled back, where an older copy of the journal was put back then; since the epoch. */
  readonly endedMs?: number;
  /** When the saga entered each place; milliseconds since the epoch. */
  readonly enteredMs: ReadonlyMap<string, readonly number[]>;
  /**
   * The disks that had a third party's overlay in front when the saga entered its first state, and whose plan counts from
   * that.
   */
  readonly coveredFirst: readonly number[];
  readonly pauses: readonly Pause[];
  readonly migrations: readonly MigrationSeen[];
  readonly conts: readonly ContSeen[];
  /** Whether the guest ran with a merged or reverted disk before the saga began to roll forward for that. */
  readonly ranOnNew: boolean;
  /** Images that were unlinked while a node or a chain had them. */
  readonly unlinkedInUse: readonly string[];
  /** Names that a third party has taken from the saga when it had given them up. */
  readonly squatted: readonly string[];
  /** Those of them under which the third party's file is not as it was made. */
  readonly harmed: readonly string[];
  /** The names of files of the saga's that lie where QEMU does not see them. */
  readonly leftElsewhere: readonly string[];
  /** The names that third parties have taken from files. */
  readonly moved: readonly MovedFile[];
  /** The same before a recovery without QEMU, in which more may be put back. */
  readonly movedAtLast: readonly MovedFile[];
  /** Those under which a third party's file is not as it was made. */
  readonly overwritten: readonly string[];
  /** The commands by which QEMU opened files, and which names were looked at in front of each. */
  readonly openings: readonly Opening[];
  /** An older copy of the journal was put back. */
  readonly isRestored: boolean;
  /** Something that no world may bring about: a broken assumption, or a wait that nothing can end. */
  readonly crash: string | undefined;
  /** Whether the orchestrator died as often as was planned. */
  readonly deaths: number;
  readonly signalled: readonly Signal['signal'][];
  readonly virtualMs: number;
  /** What the journal holds in the end. */
  readonly records: readonly JournalRecord[];
  /** What it held when faults ceased, before an older copy of it was put back behind that end. */
  readonly recordsEnded: readonly JournalRecord[];
  /** The first thing that was sent without a durable word of what it is for, or against its order. */
  readonly disorder: string | undefined;
  /** What `onCommit` was told, whether it took it or not. */
  readonly told: readonly Definition[];
  /** Undefined while QEMU is alive, or when the saga had ended before. */
  readonly offline: OfflineEnd | undefined;
  /** What became without QEMU of a saga that needed recovery to the last while QEMU lived. */
  readonly shutDown: OfflineEnd | undefined;
  readonly flushed: readonly FlushedWrite[];
  /** What the disks were on when QEMU was killed from outside; none where it was not. */
  readonly killedOn: Sight['disks'];
}

/** What happened, in order, for people to read. */
export type Happening = { readonly atMs: number } & (
  | { readonly kind: 'sent'; readonly messages: readonly Json[] }
  | { readonly kind: 'received'; readonly message: Json }
  | { readonly kind: 'file'; readonly what: string; readonly path: string }
  | { readonly kind: 'struck'; readonly fault: PlannedFault }
  | {
      readonly kind: 'state';
      readonly state: string;
      readonly fronts: readonly string[];
      readonly running: boolean;
    }
  | ({ readonly kind: 'signal'; readonly came: string } & Signal)
  | { readonly kind: 'process'; readonly what: string }
);

/** `switching.pauseGuest` is the state `pauseGuest`, and `preparing.mirror.claimFiles` is `mirror.claimFiles`. */
export function placeOf(state: string): string {
  let place = places.get(state);
  if (place === undefined) {
    place = /(?:(?<=\.)(?:snapshot|mirror)\.)?[^.]*$/.exec(state)?.[0] ?? state;
    places.set(state, place);
  }
  return place;
}

/** There are as many as the machines have states. */
const places = new Map<string, string>();

/** What was asked of the guest as it was when the plan was made. */
export function askedOf({ scenario, coveredFirst }: Pick<Account, 'scenario' | 'coveredFirst'>): Asked {
  return { ...scenario, coveredFirst };
}

/** A refusal as data; anything else that was thrown is a bug and thrown on. */
export function refusalOf(error: unknown): { readonly refusal: ErrorRecord } {
  if (!(error instanceof BlocksagaError)) throw error;
  return { refusal: error.toJSON() };
}

/** An error that no world may bring about, in words. */
export function crashText(error: unknown): string {
  if (error instanceof Error) return error.stack ?? error.message;
  return typeof error === 'object' ? JSON.stringify(error) : String(error);
}
