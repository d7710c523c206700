/**
 * What one QEMU process knows: nodes, backends, devices, jobs, exports. One immutable tree; its dictionaries are changed
 * through immer, their members are values that are replaced whole (classes that immer does not draft, which keeps a
 * command cheap). Image contents are not here: they are on the host's disk, which no failed command rolls back.
 */

import type { Arguments } from './arguments.ts';
import type { Backend, Device } from './devices.ts';
import type { Job } from './job.ts';
import type { Migration, RunState } from './run-states.ts';
import { Tellings, tellsTheSame } from './told.ts';

/** QEMU's BLK_PERM_* (include/block/block-common.h). */
export const CONSISTENT_READ = 1;
export const WRITE = 2;
export const WRITE_UNCHANGED = 4;
export const RESIZE = 8;
/** Gone after 5.2; shared by nearly everyone there. */
export const GRAPH_MOD = 16;
export const ALL_PERMISSIONS = 31;

export type ParentKind = 'node' | 'backend' | 'blk' | 'job' | 'export';

/** A use of a node by something above it; for a node as parent the permissions follow from the graph. */
export interface Edge {
  readonly kind: ParentKind;
  readonly parent: string;
  /** What kind of job the parent is. */
  readonly jobType?: Job['type'];
  readonly role: string;
  /** When it was added; the newest of several blockers is the one that an error names. */
  readonly serial?: number;
  readonly perm: number;
  readonly shared: number;
}

export interface ChildLink {
  readonly role: 'file' | 'backing' | 'target';
  readonly child: string;
}

export interface NamedBitmap {
  readonly name: string;
  readonly granularity: number;
  readonly recording: boolean;
  readonly persistent: boolean;
  readonly serial: number;
  /** The backup that holds it, while a successor without a name records in its place. */
  readonly heldBy?: string;
  readonly successorOf?: string;
  /** Of an image that was not closed: what it says is of no use. */
  readonly inconsistent?: true;
  /** A transaction is about to remove it. */
  readonly leaving?: true;
}

interface NodeFields {
  readonly name: string;
  readonly driver: string;
  /** Protocol nodes: the name by which the file was opened, and the birth of that file, which may have another name by now. */
  readonly path: string | undefined;
  readonly opened: number | undefined;
  readonly children: readonly ChildLink[];
  /** Newest first, as in QEMU: it decides which of two users an error names. */
  readonly parents: readonly Edge[];
  readonly readOnly: boolean;
  /** Added by blockdev-add or -blockdev: stays until blockdev-del. */
  readonly monitorOwned: boolean;
  /** Opened inline by its parent, whose reopen reaches it too. */
  readonly inherits: boolean;
  /** `force-share`: it takes no locks, and reads whatever others write meanwhile. */
  readonly sharesAll: boolean;
  readonly unmap: boolean;
  readonly throttleGroup: string | undefined;
  /** What a throttle saw below when it was opened, which a reopen to another child does not change; a raw node's `size`. */
  readonly sizeAtOpen: number | undefined;
  readonly implicit: boolean;
  /** Options that are part of what it is called. */
  readonly given: Arguments;
  /** Jobs that block operations on this node, with their kind. */
  readonly blockedBy: readonly { readonly job: string; readonly type: string; readonly serial: number }[];
  /** Mirror jobs whose dirty bitmap sits here. */
  readonly trackedBy: readonly string[];
  /** Jobs that forbid changes to its link to the backing node. */
  readonly frozenBy: readonly string[];
  /** Jobs that keep the node quiesced. */
  readonly drainedBy: readonly string[];
  readonly bitmaps: readonly NamedBitmap[];
  /** The job that this filter belongs to. */
  readonly job: string | undefined;
  /** A mirror filter of an active commit, and one whose job has let go. */
  readonly commits: boolean;
  readonly stopped: boolean;
  /** A mirror filter of 5.2, which asks for nothing but to write and shares everything. */
  readonly lenient: boolean;
  readonly serial: number;
}

export type NewNode = Pick<NodeFields, 'name' | 'driver' | 'serial'> & Partial<NodeFields>;

const NONE: readonly never[] = [];
const NOTHING: Arguments = {};

export class BlockNode implements NodeFields {
  readonly name: string;
  readonly driver: string;
  readonly path: string | undefined;
  readonly opened: number | undefined;
  readonly children: readonly ChildLink[];
  readonly parents: readonly Edge[];
  readonly readOnly: boolean;
  readonly monitorOwned: boolean;
  readonly inherits: boolean;
  readonly sharesAll: boolean;
  readonly unmap: boolean;
  readonly throttleGroup: string | undefined;
  readonly sizeAtOpen: number | undefined;
  readonly implicit: boolean;
  readonly given: Arguments;
  readonly blockedBy: NodeFields['blockedBy'];
  readonly trackedBy: readonly string[];
  readonly frozenBy: readonly string[];
  readonly drainedBy: readonly string[];
  readonly bitmaps: readonly NamedBitmap[];
  readonly job: string | undefined;
  readonly commits: boolean;
  readonly stopped: boolean;
  readonly lenient: boolean;
  readonly serial: number;
  /** What queries last told of it; no part of what it is. */
  readonly told: Tellings;

  /** Of a new node only what is not as usual has to be said. */
  constructor(fields: NewNode, told = new Tellings()) {
    this.told = told;
    this.name = fields.name;
    this.driver = fields.driver;
    this.path = fields.path;
    this.opened = fields.opened;
    this.children = fields.children ?? NONE;
    this.parents = fields.parents ?? NONE;
    this.readOnly = fields.readOnly ?? false;
    this.monitorOwned = fields.monitorOwned ?? false;
    this.inherits = fields.inherits ?? false;
    this.sharesAll = fields.sharesAll ?? false;
    this.unmap = fields.unmap ?? false;
    this.throttleGroup = fields.throttleGroup;
    this.sizeAtOpen = fields.sizeAtOpen;
    this.implicit = fields.implicit ?? false;
    this.given = fields.given ?? NOTHING;
    this.blockedBy = fields.blockedBy ?? NONE;
    this.trackedBy = fields.trackedBy ?? NONE;
    this.frozenBy = fields.frozenBy ?? NONE;
    this.drainedBy = fields.drainedBy ?? NONE;
    this.bitmaps = fields.bitmaps ?? NONE;
    this.job = fields.job;
    this.commits = fields.commits ?? false;
    this.stopped = fields.stopped ?? false;
    this.lenient = fields.lenient ?? false;
    this.serial = fields.serial;
  }

  with(changes: Partial<NodeFields>): BlockNode {
    return Object.assign(new BlockNode(this, tellsTheSame(changes) ? this.told : undefined), changes);
  }

  get isFilter(): boolean {
    return FILTER_DRIVERS.has(this.driver);
  }
}

/** The filters of backups, in QEMU before 6.1 and since. */
export const BACKUP_FILTERS: ReadonlySet<string> = new Set(['backup-top', 'copy-before-write']);

const FILTER_DRIVERS = new Set([
  ...['throttle', 'mirror_top', 'commit_top', 'copy-on-read'],
  ...BACKUP_FILTERS,
]);

interface BlockExport {
  readonly id: string;
  readonly type: string;
  readonly node: string;
  readonly writable: boolean;
  readonly shuttingDown: boolean;
}

export interface Qemu {
  readonly nodes: ReadonlyMap<string, BlockNode>;
  readonly backends: ReadonlyMap<string, Backend>;
  readonly devices: ReadonlyMap<string, Device>;
  readonly jobs: ReadonlyMap<string, Job>;
  /** By name, with the limit of their bytes per second; 0 for none. */
  readonly throttleGroups: ReadonlyMap<string, number>;
  /** What each secret object holds, by its id. */
  readonly secrets: ReadonlyMap<string, string>;
  readonly exports: ReadonlyMap<string, BlockExport>;
  readonly nbdServer: boolean;
  readonly runState: RunState;
  /** The guest was in S3 when it was stopped, and is to be there again when it is resumed. */
  readonly wasSuspended: boolean;
  readonly migration: Migration;
  readonly serial: number;
}
