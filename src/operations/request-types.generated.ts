/**
 * What may be asked for, field by field. Made by scripts/generate-requests.ts from the schemas (requests.ts): change those, and
 * run `npm run requests`.
 */

/** One disk of a `SnapshotRequest`. */
export interface SnapshotDisk {
  /**
   * Node name, qdev id, `-drive` id, or the file name of the active image.
   * @example "disk0"
   */
  readonly disk: string;
  /**
   * The overlay's file.
   * @default it is made from the name of the snapshot
   * @example "/images/disk0.snap1.qcow2"
   */
  readonly overlay?: string | undefined;
  /**
   * The overlay's format.
   * @default "qcow2"
   * @example "qcow2"
   */
  readonly format?: 'qcow2' | undefined;
  /**
   * The overlay exists and is used as it is; its header names the image that the disk is on.
   * @default false
   * @example true
   */
  readonly reuse?: boolean | undefined;
  /**
   * The id of the secret object in QEMU that the new image is encrypted with, or `none` for one in the clear.
   * @default an encrypted disk keeps its own secret, and another stays in the clear
   * @example "sec0"
   */
  readonly encrypt?: string | undefined;
  /**
   * How QEMU does the new image's I/O. QEMU does not tell it of the old image.
   * @default "threads"
   * @example "native"
   */
  readonly aio?: 'threads' | 'native' | 'io_uring' | undefined;
  /**
   * Whether the guest's TRIM reaches the new image's file. QEMU does not tell it of the old image.
   * @default it does, unless its space is preallocated
   * @example "ignore"
   */
  readonly discard?: 'unmap' | 'ignore' | undefined;
  /**
   * Who owns a new file, in numbers: `UID` or `UID:GID`.
   * @default the owner of the old image
   * @example "107:107"
   */
  readonly owner?: string | undefined;
  /**
   * The mode of a new file, in octal.
   * @default the old image's, never more
   * @example "0640"
   */
  readonly mode?: string | undefined;
  /**
   * Where the overlay is mirrored to: all disks of a request, or none.
   * @default it is not mirrored
   * @example "/second/disk0.snap1.qcow2"
   */
  readonly mirror?: string | undefined;
  /**
   * The image at `mirror` exists, and names a chain of its own, which may be copied until the switch.
   * @default false
   * @example true
   */
  readonly mirrorReuse?: boolean | undefined;
}

/** New overlays on N disks, in one instant. The request of `engine.snapshot`; docs/requests.md has all fields on one page. */
export interface SnapshotRequest {
  /**
   * Submitting the same id twice has one effect.
   * @default one is made up
   * @example "task-4711"
   */
  readonly id?: string | undefined;
  /**
   * What a caller wants to find again: kept in the journal, and given back with each notice and definition.
   * @default none
   * @example {"tenant":"acme"}
   */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * The VM's name in the journal: one saga at a time under each.
   * @default QEMU's UUID, else its name, else the monitor's address
   * @example "web"
   */
  readonly vm?: string | undefined;
  /**
   * Capabilities to act without, as an older QEMU would.
   * @default all that QEMU has are used
   * @example ["blockdev-reopen"]
   */
  readonly without?: readonly string[] | undefined;
  /**
   * A program that is told of the new disks after the decision: one line of JSON (`Definition`) on its standard input, status 0 when it has taken it. Run without a shell, at least once, again for minutes when it fails; the journal keeps it for a resume. An engine's own `onCommit` is not called then.
   * @default no program is told
   * @example {"program":"/usr/lib/backend/record-disks","arguments":["--vm","web"]}
   */
  readonly onCommit?: {
    /**
     * The program.
     * @example "/usr/lib/backend/record-disks"
     */
    readonly program: string;
    /**
     * What it is called with.
     * @example ["--vm","web"]
     */
    readonly arguments: readonly string[];
    /**
     * Names of variables that must be in the environment, which the program inherits; their values are kept nowhere.
     * @default none must be there
     * @example ["DATABASE_URL"]
     */
    readonly environment?: readonly string[];
    /**
     * How long it may take. In milliseconds.
     * @default 60000
     * @example 10000
     */
    readonly timeoutMs?: number;
  } | undefined;
  /**
   * How long the guest may be paused. In milliseconds.
   * @default 1000
   * @example 500
   */
  readonly maxBlackoutMs?: number | undefined;
  /**
   * The disks, all of which are changed, or none.
   * @example [{"disk":"disk0","overlay":"/images/disk0.snap1.qcow2"}]
   */
  readonly disks: readonly SnapshotDisk[];
  /**
   * The snapshot's name: an overlay without a file of its own gets the active image's, ending in the name.
   * @default each disk says its overlay
   * @example "before-upgrade"
   */
  readonly name?: string | undefined;
  /**
   * Name the images below by paths relative to the overlays, so that a directory can be moved as a whole.
   * @default false
   * @example true
   */
  readonly relative?: boolean | undefined;
  /**
   * How the disks are switched; `auto` is the strongest that this QEMU has.
   * @default "auto"
   * @example "reopen"
   */
  readonly strategy?: 'auto' | 'reopen' | 'finalize' | 'complete' | undefined;
  /**
   * How many disks are mirrored at once; those that are done wait for the others. In disks.
   * @default 2
   * @example 4
   */
  readonly parallel?: number | undefined;
  /**
   * The limit of each disk's job; 0 lifts it. In bytes per second and disk.
   * @default 0
   * @example 104857600
   */
  readonly bandwidth?: number | undefined;
  /**
   * Refuse where QEMU cannot do all disks in one `transaction`.
   * @default false
   * @example true
   */
  readonly atomic?: boolean | undefined;
  /**
   * The guest agent's socket: the guest's file systems are frozen meanwhile.
   * @default no file system is frozen
   * @example "/run/vm.qga"
   */
  readonly quiesce?: string | undefined;
}

/** One disk of a `CopyRequest`. */
export interface CopyDisk {
  /**
   * Node name, qdev id, `-drive` id, or the file name of the active image.
   * @example "disk0"
   */
  readonly disk: string;
  /**
   * The new image's file, a block device (with `reuse`), or the address of an NBD export, which must be there.
   * @example "/new/disk0.qcow2"
   */
  readonly to: string;
  /**
   * The new image's format.
   * @default the disk's own; raw for an NBD export
   * @example "raw"
   */
  readonly format?: 'qcow2' | 'raw' | 'luks' | undefined;
  /**
   * The id of the secret object in QEMU that the new image is encrypted with, or `none` for one in the clear.
   * @default an encrypted disk keeps its own secret, and another stays in the clear
   * @example "sec0"
   */
  readonly encrypt?: string | undefined;
  /**
   * How QEMU does the new image's I/O. QEMU does not tell it of the old image.
   * @default "threads"
   * @example "native"
   */
  readonly aio?: 'threads' | 'native' | 'io_uring' | undefined;
  /**
   * Whether the guest's TRIM reaches the new image's file. QEMU does not tell it of the old image.
   * @default it does, unless its space is preallocated
   * @example "ignore"
   */
  readonly discard?: 'unmap' | 'ignore' | undefined;
  /**
   * Who owns a new file, in numbers: `UID` or `UID:GID`.
   * @default the owner of the old image
   * @example "107:107"
   */
  readonly owner?: string | undefined;
  /**
   * The mode of a new file, in octal.
   * @default the old image's, never more
   * @example "0640"
   */
  readonly mode?: string | undefined;
  /**
   * Whether the space of a new file is allocated at once, and stays so.
   * @default "off"
   * @example "falloc"
   */
  readonly preallocation?: 'off' | 'metadata' | 'falloc' | 'full' | undefined;
  /**
   * The image of the disk's chain that the new one is based on, as in a pull: what lies above it is copied.
   * @default the new image has no backing image
   * @example "/images/base.qcow2"
   */
  readonly base?: string | undefined;
  /**
   * Copy only the active image; the new one has the same backing image.
   * @default false
   * @example true
   */
  readonly shallow?: boolean | undefined;
  /**
   * The target exists and is written over; with `shallow` its header names what the copy is to stand on.
   * @default false
   * @example true
   */
  readonly reuse?: boolean | undefined;
  /**
   * The target is a block device, onto which a new image is written; what it holds is lost, also when the copy is rolled back.
   * @default false
   * @example true
   */
  readonly initialize?: boolean | undefined;
  /**
   * The same as `format: 'raw'`.
   * @default false
   * @example true
   */
  readonly raw?: boolean | undefined;
  /**
   * With `shallow` or `base`: name the image below by a path relative to the new one.
   * @default false
   * @example true
   */
  readonly relative?: boolean | undefined;
}

/** N disks are mirrored to new images, and all switched in one pause. The request of `engine.copy`; docs/requests.md has all fields on one page. */
export interface CopyRequest {
  /**
   * Submitting the same id twice has one effect.
   * @default one is made up
   * @example "task-4711"
   */
  readonly id?: string | undefined;
  /**
   * What a caller wants to find again: kept in the journal, and given back with each notice and definition.
   * @default none
   * @example {"tenant":"acme"}
   */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * The VM's name in the journal: one saga at a time under each.
   * @default QEMU's UUID, else its name, else the monitor's address
   * @example "web"
   */
  readonly vm?: string | undefined;
  /**
   * Capabilities to act without, as an older QEMU would.
   * @default all that QEMU has are used
   * @example ["blockdev-reopen"]
   */
  readonly without?: readonly string[] | undefined;
  /**
   * A program that is told of the new disks after the decision: one line of JSON (`Definition`) on its standard input, status 0 when it has taken it. Run without a shell, at least once, again for minutes when it fails; the journal keeps it for a resume. An engine's own `onCommit` is not called then.
   * @default no program is told
   * @example {"program":"/usr/lib/backend/record-disks","arguments":["--vm","web"]}
   */
  readonly onCommit?: {
    /**
     * The program.
     * @example "/usr/lib/backend/record-disks"
     */
    readonly program: string;
    /**
     * What it is called with.
     * @example ["--vm","web"]
     */
    readonly arguments: readonly string[];
    /**
     * Names of variables that must be in the environment, which the program inherits; their values are kept nowhere.
     * @default none must be there
     * @example ["DATABASE_URL"]
     */
    readonly environment?: readonly string[];
    /**
     * How long it may take. In milliseconds.
     * @default 60000
     * @example 10000
     */
    readonly timeoutMs?: number;
  } | undefined;
  /**
   * How long the guest may be paused. In milliseconds.
   * @default 1000
   * @example 500
   */
  readonly maxBlackoutMs?: number | undefined;
  /**
   * The disks, all of which are changed, or none.
   * @example [{"disk":"disk0","to":"/new/disk0.qcow2"}]
   */
  readonly disks: readonly CopyDisk[];
  /**
   * What happens when all disks are mirrored: `pivot` switches to the copies, `clone` keeps them as one instant of all disks, `leave` waits for a word, `abort` takes them away.
   * @default "pivot"
   * @example "leave"
   */
  readonly finish?: 'pivot' | 'clone' | 'abort' | 'leave' | undefined;
  /**
   * How the disks are switched; `auto` is the strongest that this QEMU has.
   * @default "auto"
   * @example "reopen"
   */
  readonly strategy?: 'auto' | 'reopen' | 'finalize' | 'complete' | undefined;
  /**
   * How many disks copy at once; those that are done wait for the others. In disks.
   * @default 2
   * @example 4
   */
  readonly parallel?: number | undefined;
  /**
   * The limit of each disk's job; 0 lifts it. In bytes per second and disk.
   * @default 0
   * @example 104857600
   */
  readonly bandwidth?: number | undefined;
  /**
   * How large the pieces are that a mirror copies; a power of two. In bytes.
   * @default QEMU's own choice
   * @example 65536
   */
  readonly granularity?: number | undefined;
  /**
   * What a mirror may have in flight. In bytes.
   * @default or with 0, QEMU's default
   * @example 16777216
   */
  readonly bufSize?: number | undefined;
  /**
   * With `finish: 'clone'`: the guest agent's socket; the guest's file systems are frozen for the instant of the cut.
   * @default they are not frozen
   * @example "/run/vm.qga"
   */
  readonly quiesce?: string | undefined;
  /**
   * Write to both sides at once: the copy then converges under any load, and the guest writes more slowly.
   * @default false
   * @example true
   */
  readonly syncWrites?: boolean | undefined;
}

/** One disk of a `CommitRequest`. */
export interface CommitDisk {
  /**
   * Node name, qdev id, `-drive` id, or the file name of the active image.
   * @example "disk0"
   */
  readonly disk: string;
  /**
   * The image that is committed.
   * @default the active one
   * @example "/images/disk0.snap2.qcow2"
   */
  readonly top?: string | undefined;
  /**
   * The image that it is committed into.
   * @default the lowest, or with `shallow` the next one
   * @example "/images/disk0.qcow2"
   */
  readonly base?: string | undefined;
}

/** Images of N disks are merged into ones below them. The request of `engine.commit`; docs/requests.md has all fields on one page. */
export interface CommitRequest {
  /**
   * Submitting the same id twice has one effect.
   * @default one is made up
   * @example "task-4711"
   */
  readonly id?: string | undefined;
  /**
   * What a caller wants to find again: kept in the journal, and given back with each notice and definition.
   * @default none
   * @example {"tenant":"acme"}
   */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * The VM's name in the journal: one saga at a time under each.
   * @default QEMU's UUID, else its name, else the monitor's address
   * @example "web"
   */
  readonly vm?: string | undefined;
  /**
   * Capabilities to act without, as an older QEMU would.
   * @default all that QEMU has are used
   * @example ["blockdev-reopen"]
   */
  readonly without?: readonly string[] | undefined;
  /**
   * A program that is told of the new disks after the decision: one line of JSON (`Definition`) on its standard input, status 0 when it has taken it. Run without a shell, at least once, again for minutes when it fails; the journal keeps it for a resume. An engine's own `onCommit` is not called then.
   * @default no program is told
   * @example {"program":"/usr/lib/backend/record-disks","arguments":["--vm","web"]}
   */
  readonly onCommit?: {
    /**
     * The program.
     * @example "/usr/lib/backend/record-disks"
     */
    readonly program: string;
    /**
     * What it is called with.
     * @example ["--vm","web"]
     */
    readonly arguments: readonly string[];
    /**
     * Names of variables that must be in the environment, which the program inherits; their values are kept nowhere.
     * @default none must be there
     * @example ["DATABASE_URL"]
     */
    readonly environment?: readonly string[];
    /**
     * How long it may take. In milliseconds.
     * @default 60000
     * @example 10000
     */
    readonly timeoutMs?: number;
  } | undefined;
  /**
   * How long the guest may be paused. In milliseconds.
   * @default 1000
   * @example 500
   */
  readonly maxBlackoutMs?: number | undefined;
  /**
   * How many disks are merged at once; those that are done wait for the others. In disks.
   * @default 2
   * @example 4
   */
  readonly parallel?: number | undefined;
  /**
   * The limit of each disk's job; 0 lifts it. In bytes per second and disk.
   * @default 0
   * @example 104857600
   */
  readonly bandwidth?: number | undefined;
  /**
   * Name the image below by a path relative to the one above.
   * @default as the headers between them do
   * @example true
   */
  readonly relative?: boolean | undefined;
  /**
   * The disks, all of which are changed, or none.
   * @example [{"disk":"disk0","top":"/images/disk0.snap2.qcow2"}]
   */
  readonly disks: readonly CommitDisk[];
  /**
   * Commit into the image right below.
   * @default false
   * @example true
   */
  readonly shallow?: boolean | undefined;
  /**
   * Remove the files that have left the chains, after the decision.
   * @default false
   * @example true
   */
  readonly delete?: boolean | undefined;
  /**
   * The active images are meant, and the guest is to be switched over.
   * @default false
   * @example true
   */
  readonly active?: boolean | undefined;
  /**
   * With active images, what happens when all are merged: `pivot` switches to the bases, `leave` waits for a word, `abort` ends it.
   * @default "pivot"
   * @example "leave"
   */
  readonly finish?: 'pivot' | 'abort' | 'leave' | undefined;
  /**
   * How the disks are switched; `auto` is the strongest that this QEMU has.
   * @default "auto"
   * @example "reopen"
   */
  readonly strategy?: 'auto' | 'reopen' | 'finalize' | 'complete' | undefined;
}

/** One disk of a `PullRequest`. */
export interface PullDisk {
  /**
   * Node name, qdev id, `-drive` id, or the file name of the active image.
   * @example "disk0"
   */
  readonly disk: string;
  /**
   * The image that stays below the active one: its file, its node, or `disk[2]`.
   * @default all that is below is pulled
   * @example "/images/base.qcow2"
   */
  readonly base?: string | undefined;
}

/** What is below N active images is streamed into them. The request of `engine.pull`; docs/requests.md has all fields on one page. */
export interface PullRequest {
  /**
   * Submitting the same id twice has one effect.
   * @default one is made up
   * @example "task-4711"
   */
  readonly id?: string | undefined;
  /**
   * What a caller wants to find again: kept in the journal, and given back with each notice and definition.
   * @default none
   * @example {"tenant":"acme"}
   */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * The VM's name in the journal: one saga at a time under each.
   * @default QEMU's UUID, else its name, else the monitor's address
   * @example "web"
   */
  readonly vm?: string | undefined;
  /**
   * Capabilities to act without, as an older QEMU would.
   * @default all that QEMU has are used
   * @example ["blockdev-reopen"]
   */
  readonly without?: readonly string[] | undefined;
  /**
   * A program that is told of the new disks after the decision: one line of JSON (`Definition`) on its standard input, status 0 when it has taken it. Run without a shell, at least once, again for minutes when it fails; the journal keeps it for a resume. An engine's own `onCommit` is not called then.
   * @default no program is told
   * @example {"program":"/usr/lib/backend/record-disks","arguments":["--vm","web"]}
   */
  readonly onCommit?: {
    /**
     * The program.
     * @example "/usr/lib/backend/record-disks"
     */
    readonly program: string;
    /**
     * What it is called with.
     * @example ["--vm","web"]
     */
    readonly arguments: readonly string[];
    /**
     * Names of variables that must be in the environment, which the program inherits; their values are kept nowhere.
     * @default none must be there
     * @example ["DATABASE_URL"]
     */
    readonly environment?: readonly string[];
    /**
     * How long it may take. In milliseconds.
     * @default 60000
     * @example 10000
     */
    readonly timeoutMs?: number;
  } | undefined;
  /**
   * How long the guest may be paused. In milliseconds.
   * @default 1000
   * @example 500
   */
  readonly maxBlackoutMs?: number | undefined;
  /**
   * How many disks are merged at once; those that are done wait for the others. In disks.
   * @default 2
   * @example 4
   */
  readonly parallel?: number | undefined;
  /**
   * The limit of each disk's job; 0 lifts it. In bytes per second and disk.
   * @default 0
   * @example 104857600
   */
  readonly bandwidth?: number | undefined;
  /**
   * Name the image below by a path relative to the one above.
   * @default as the headers between them do
   * @example true
   */
  readonly relative?: boolean | undefined;
  /**
   * The disks, all of which are changed, or none.
   * @example [{"disk":"disk0","base":"/images/base.qcow2"}]
   */
  readonly disks: readonly PullDisk[];
}

/** One disk of a `RevertRequest`. */
export interface RevertDisk {
  /**
   * Node name, qdev id, `-drive` id, or the file name of the active image.
   * @example "disk0"
   */
  readonly disk: string;
  /**
   * The image to revert to: its file, its node, or `disk[2]`.
   * @default the one below the active image
   * @example "/images/disk0.qcow2"
   */
  readonly to?: string | undefined;
  /**
   * The file of the new overlay on it, which takes what the guest writes from now on.
   * @example "/images/disk0.new.qcow2"
   */
  readonly overlay: string;
  /**
   * The overlay's format.
   * @default "qcow2"
   * @example "qcow2"
   */
  readonly format?: 'qcow2' | undefined;
  /**
   * The id of the secret object in QEMU that the new image is encrypted with, or `none` for one in the clear.
   * @default an encrypted disk keeps its own secret, and another stays in the clear
   * @example "sec0"
   */
  readonly encrypt?: string | undefined;
  /**
   * How QEMU does the new image's I/O. QEMU does not tell it of the old image.
   * @default "threads"
   * @example "native"
   */
  readonly aio?: 'threads' | 'native' | 'io_uring' | undefined;
  /**
   * Whether the guest's TRIM reaches the new image's file. QEMU does not tell it of the old image.
   * @default it does, unless its space is preallocated
   * @example "ignore"
   */
  readonly discard?: 'unmap' | 'ignore' | undefined;
  /**
   * Who owns a new file, in numbers: `UID` or `UID:GID`.
   * @default the owner of the old image
   * @example "107:107"
   */
  readonly owner?: string | undefined;
  /**
   * The mode of a new file, in octal.
   * @default the old image's, never more
   * @example "0640"
   */
  readonly mode?: string | undefined;
}

/** N disks of a paused guest go back to images below their active ones. The request of `engine.revert`; docs/requests.md has all fields on one page. */
export interface RevertRequest {
  /**
   * Submitting the same id twice has one effect.
   * @default one is made up
   * @example "task-4711"
   */
  readonly id?: string | undefined;
  /**
   * What a caller wants to find again: kept in the journal, and given back with each notice and definition.
   * @default none
   * @example {"tenant":"acme"}
   */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * The VM's name in the journal: one saga at a time under each.
   * @default QEMU's UUID, else its name, else the monitor's address
   * @example "web"
   */
  readonly vm?: string | undefined;
  /**
   * Capabilities to act without, as an older QEMU would.
   * @default all that QEMU has are used
   * @example ["blockdev-reopen"]
   */
  readonly without?: readonly string[] | undefined;
  /**
   * A program that is told of the new disks after the decision: one line of JSON (`Definition`) on its standard input, status 0 when it has taken it. Run without a shell, at least once, again for minutes when it fails; the journal keeps it for a resume. An engine's own `onCommit` is not called then.
   * @default no program is told
   * @example {"program":"/usr/lib/backend/record-disks","arguments":["--vm","web"]}
   */
  readonly onCommit?: {
    /**
     * The program.
     * @example "/usr/lib/backend/record-disks"
     */
    readonly program: string;
    /**
     * What it is called with.
     * @example ["--vm","web"]
     */
    readonly arguments: readonly string[];
    /**
     * Names of variables that must be in the environment, which the program inherits; their values are kept nowhere.
     * @default none must be there
     * @example ["DATABASE_URL"]
     */
    readonly environment?: readonly string[];
    /**
     * How long it may take. In milliseconds.
     * @default 60000
     * @example 10000
     */
    readonly timeoutMs?: number;
  } | undefined;
  /**
   * How long the guest may be paused. In milliseconds.
   * @default 1000
   * @example 500
   */
  readonly maxBlackoutMs?: number | undefined;
  /**
   * The disks, all of which are changed, or none.
   * @example [{"disk":"disk0","overlay":"/images/disk0.new.qcow2"}]
   */
  readonly disks: readonly RevertDisk[];
  /**
   * Remove the files that have left the chains, after the decision.
   * @default false
   * @example true
   */
  readonly delete?: boolean | undefined;
}

/** One disk of a `OfflineCommitRequest`. */
export interface OfflineCommitDisk {
  /**
   * The file of the image in front.
   * @example "/images/disk0.snap2.qcow2"
   */
  readonly disk: string;
  /**
   * Its format; what is below has the format that the header above it says.
   * @default that of the request
   * @example "qcow2"
   */
  readonly format?: string | undefined;
  /**
   * The image that is committed: its file, or `[2]` for a place.
   * @default the one in front
   * @example "/images/disk0.snap2.qcow2"
   */
  readonly top?: string | undefined;
  /**
   * The image that it is committed into.
   * @default the lowest, or with `shallow` the next one
   * @example "/images/disk0.qcow2"
   */
  readonly base?: string | undefined;
}

/** A commit of images of N disks that no QEMU has open. The request of `commitOffline`; docs/requests.md has all fields on one page. */
export interface OfflineCommitRequest {
  /**
   * Submitting the same id twice has one effect.
   * @default one is made up
   * @example "task-4711"
   */
  readonly id?: string | undefined;
  /**
   * The VM's name in the journal.
   * @default the first disk's file
   * @example "web"
   */
  readonly vm?: string | undefined;
  /**
   * The disks, all of which are merged, or none.
   * @example [{"disk":"/images/disk0.snap2.qcow2"}]
   */
  readonly disks: readonly OfflineCommitDisk[];
  /**
   * The format of all images in front whose own is not said.
   * @default "qcow2"
   * @example "qed"
   */
  readonly format?: string | undefined;
  /**
   * Commit into the image right below.
   * @default false
   * @example true
   */
  readonly shallow?: boolean | undefined;
  /**
   * Remove the files that have left the chains, after the decision.
   * @default false
   * @example true
   */
  readonly delete?: boolean | undefined;
  /**
   * Name the image below by a path relative to the one above.
   * @default as the headers between them do
   * @example true
   */
  readonly relative?: boolean | undefined;
}
