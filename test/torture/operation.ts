/** What can be said of an operation under torture: the guest, the request, what goes wrong, and how it ends. Types only. */
import type { GuestVmOptions } from '../../src/demo/guest-vm.ts';
import type {
  CommitRequest,
  CopyRequest,
  OfflineCommitRequest,
  PullRequest,
  RevertRequest,
  SnapshotRequest,
} from '../../src/index.ts';
import type { Shape } from './endings.ts';

/** How many disks each guest has. */
export const DISKS = 3;

/** One string in the n-th command of some names, or its own name, is replaced, on its way to QEMU, by the name of nothing. */
export interface Bend {
  readonly commands: readonly string[];
  readonly nth: number;
  /** Where the string is among its arguments; empty for the command's name. */
  readonly path: readonly (string | number)[];
  /** All of them from that one on. */
  readonly onward?: boolean;
}

/** A guest as it is before anything is asked of it. */
export interface Scene extends Partial<GuestVmOptions> {
  /** So many overlays are put on every disk, one after the other, with writes in between. */
  readonly overlays?: number;
  /** Every disk has a persistent bitmap that records. */
  readonly bitmaps?: boolean;
  /** Its administrator has stopped it, or ended its QEMU. */
  readonly rests?: 'stopped' | 'ended';
}

/** What is asked for, but the disks. */
type Asked =
  | { readonly operation: 'copy'; readonly options: Partial<CopyRequest> }
  | { readonly operation: 'snapshot'; readonly options: Partial<SnapshotRequest> }
  | { readonly operation: 'commit'; readonly options: Partial<CommitRequest> }
  | { readonly operation: 'pull'; readonly options: Partial<PullRequest> }
  | { readonly operation: 'revert'; readonly options: Partial<RevertRequest> }
  | { readonly operation: 'commitOffline'; readonly options: Partial<OfflineCommitRequest> };

/** What each disk of a request says besides its name and the new files; an image may be named by its place, `[1]`. */
interface DiskWish {
  readonly top?: `[${number}]`;
  readonly base?: `[${number}]`;
  readonly shallow?: boolean;
}

/** One kind of request, and the guest that it is made to. */
export interface Operation {
  readonly name: string;
  /** The operations that it is one with before it goes a way of its own, and behind: its boundaries are those between. */
  readonly like?: readonly string[];
  readonly guest: Scene;
  readonly request: Asked;
  readonly wish?: DiskWish;
  /** How many of the disks are named; all if not said. */
  readonly disks?: number;
  /** Every overlay has a mirror; `ownChain`: one that is there before and stands on a copy that is made at READY. */
  readonly mirrors?: 'shared' | 'ownChain';
  /** What a saga that waits at READY is told. */
  readonly whenReady?: 'pivot' | 'abort' | 'keepCopies' | 'keepSnapshot';
  readonly bend?: Bend;
  /** The guest's file systems are frozen meanwhile, through an agent of the harness. */
  readonly quiesces?: boolean;
  /** A program is told of the new disks. */
  readonly tells?: boolean;
  /** It rolls back though nothing dies. */
  readonly goesBack?: boolean;
  /** In the process that is bent it can roll neither forward nor back: the next one continues. */
  readonly strands?: boolean;
  /** Behind the first disk that is switched a third party resumes the guest, and cancels the job of the next. */
  readonly overtaken?: boolean;
  /** The mirrors do not come clean in the first pause. */
  readonly lagsOnce?: boolean;
  /** What the disks stand on when it is committed. */
  readonly committed: Shape;
  /** What they may stand on as well, where QEMU died before it was switched. */
  readonly orElse?: Shape;
}
