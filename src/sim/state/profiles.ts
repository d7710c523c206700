/**
 * The QEMU versions that can be simulated, and what differs between them: which commands there are (from the schema of
 * each version), how errors read, and the few behaviours that a client can see.
 */

import { type Checker, createChecker } from './arguments.ts';
import { refuse } from './refusal.ts';
import type { SchemaTable } from './schema.generated.ts';
import { schemaOf } from './schema-history.ts';
import { JSON_TEXTS, type JsonTexts, PLACED_JSON_TEXTS, type Texts, type Use } from './texts.ts';

export const PROFILE_NAMES = [
  '1.0',
  '1.1',
  '1.3',
  '2.4',
  '2.12',
  '3.1',
  '5.2',
  '6.1',
  '7.2',
  '10.0',
  '11.1',
] as const;

export type ProfileName = (typeof PROFILE_NAMES)[number];

export const DEFAULT_PROFILE: ProfileName = '7.2';

export interface Profile {
  readonly name: ProfileName;
  readonly version: { readonly major: number; readonly minor: number; readonly micro: number };
  readonly package: string;
  readonly texts: Texts;
  readonly json: JsonTexts;
  readonly schema: SchemaTable;
  readonly checker: Checker;
  /** JOB_STATUS_CHANGE is sent. */
  readonly hasJobEvents: boolean;
  /** A forced cancel of a READY mirror aborts it; before 2.12 `force` only let a paused job be cancelled. */
  readonly forcesCancel: boolean;
  /** The active image can be committed. */
  readonly commitsActive: boolean;
  /** `job-complete` is accepted in standby. */
  readonly completesInStandby: boolean;
  /** `drive` of a realized device may be set. */
  readonly setsDrive: boolean;
  /** Setting `drive` to what it already is kills the process. */
  readonly diesOnSameDrive: boolean;
  /** A bitmap that nothing is merged into kills the process (seen on 7.2, 10.0, 11.1; not on 5.2). */
  readonly diesOnEmptyMerge: boolean;
  /** An empty list to blockdev-reopen kills the process. */
  readonly diesOnEmptyReopen: boolean;
  /** A stream that is concluded and not dismissed leaves a filter without a child, and listing the nodes kills QEMU. */
  readonly diesOnConcludedStream: boolean;
  /** Commands that quiesce everything: how often other jobs then flap between ready and standby. */
  readonly flaps: Readonly<Record<string, number>>;
  /** A base that a stream ended at can be written again. */
  readonly streamLeavesBaseWritable: boolean;
  /** A mirror counts what is not dirty of its whole disk, and all of that once it was ready (mirror_run() of 1.3). */
  readonly countsWholeDisk: boolean;
  /** READY reports only data that was copied, not the whole disk. */
  readonly countsDataOnly: boolean;
  /** The base stays writable after a cancelled active commit. */
  readonly cancelledCommitLeavesBaseWritable: boolean;
  readonly sizeMismatch: string;
  /** A qemu-storage-daemon: no guest and no devices; what uses its disks are exports. */
  readonly servesExports: boolean;
  /** The permission `graph-mod` is known. */
  readonly hasGraphMod: boolean;
  /** A block job has a backend of its own on its main node; later it is a user of the node itself. */
  readonly jobsHaveBackend: boolean;
  /** A mirror's filter needs and shares what is asked of it; before, only to write, and everything. */
  readonly mirrorNeedsAll: boolean;
  /** A permission conflict is looked for from the user that came last. */
  readonly asksNewest: boolean;
  /** A stream whose intermediate nodes others write to kills the process. */
  readonly diesOnStreamConflict: boolean;
  /** A throttle that is put over another node keeps reporting the size of the first. */
  readonly throttleKeepsSize: boolean;
  /** A stream puts a copy-on-read filter above its node. */
  readonly streamHasFilter: boolean;
  /** A snapshot that would make the chain a ring kills the process. */
  readonly diesOnCycle: boolean;
  /** The filter of a backup. */
  readonly filterOfBackup: 'backup-top' | 'copy-before-write';
  /** The most that a backup with a limited speed copies at once (block/block-copy.c). */
  readonly backupChunkBytes: number;
  /** The dirty bitmap of a mirror or a backup sits on its filter and does not record by itself; on the source before. */
  readonly mirrorFilterTracks: boolean;
}

function use(node: string, { user, role }: Use): string {
  return `${user} (uses node '${node}' as '${role}' child)`;
}

function outOfRange(name: string, value: number): string {
  return `Value '${value}' is out of range for parameter '${name}'`;
}

const MODERN: Texts = {
  cannotFindNode: name => `Failed to find node with node-name='${name}'`,
  cannotFind: (device, nodeName) => `Cannot find device='${device}' nor node-name='${nodeName}'`,
  invalidNodeName: name => `Invalid node-name: '${name}'`,
  duplicateNodeName: name => `Duplicate nodes with node-name='${name}'`,
  refusePermission: (node, permissions, needer, denier) =>
    refuse(
      `Permission conflict on node '${node}': permissions '${permissions}' are both required by ${use(node, needer)} and unshared by ${use(node, denier)}.`,
    ),
  cannotFindReplaced: name => `Failed to find node with node-name='${name}'`,
  enumValue: (name, value) => `Parameter '${name}' does not accept value '${value}'`,
  negative: outOfRange,
  bitmapOrName: 'BlockDirtyBitmapOrStr',
  bitmapSizes: (target, source) =>
    `Bitmaps are of different sizes (destination size is ${target}, source size is ${source}) and can't be merged`,
  overlayNameTaken: 'New overlay node-name already in use',
  overlayNameMissing: 'New overlay node-name missing',
  noFilter: 'Could not create node: ',
  filterNotInserted: 'Could not replace node: ',
};

const OF_6_TO_9: Texts = {
  ...MODERN,
  negative: name => `Parameter '${name}' expects a non-negative number below 2^64`,
};

const OLD: Texts = {
  cannotFindNode: name => `Cannot find node ${name}`,
  cannotFind: (device, nodeName) => `Cannot find device=${device} nor node_name=${nodeName}`,
  invalidNodeName: () => 'Invalid node name',
  duplicateNodeName: () => 'Duplicate node name',
  refusePermission: (node, permissions, needer, denier, newer) => {
    const { user, role } = newer === 'needer' ? denier : needer;
    const who = user
      .replace(/^an unnamed block device$/, 'a block device')
      .replace(/^(?:node|block device) '(.*)'$/, '$1');
    const does = newer === 'needer' ? 'does not allow' : 'uses';
    return refuse(`Conflicts with use by ${who} as '${role}', which ${does} '${permissions}' on ${node}`);
  },
  cannotFindReplaced: name => `Node name '${name}' not found`,
  enumValue: (_name, value) => `Invalid parameter '${value}'`,
  negative: outOfRange,
  bitmapOrName: 'BlockDirtyBitmapMergeSource',
  bitmapSizes: () => "Bitmaps are incompatible and can't be merged",
  overlayNameTaken: 'New overlay node name already in use',
  overlayNameMissing: 'New overlay node name missing',
  noFilter: '',
  filterNotInserted: 'Cannot append backup-top filter: ',
};

const SOME_FLAPS = {
  transaction: 1,
  'blockdev-snapshot': 1,
  'blockdev-snapshot-sync': 1,
  'block-export-del': 2,
  stop: 1,
};

const ALWAYS_FLAPS = {
  ...SOME_FLAPS,
  'blockdev-add': 1,
  'blockdev-del': 1,
  'blockdev-reopen': 2,
  'blockdev-mirror': 1,
  'block-commit': 1,
  'block-stream': 1,
  'block-export-add': 1,
  'qom-set': 1,
  'job-finalize': 1,
  'block-job-finalize': 1,
};

function profile(
  name: ProfileName,
  micro: number,
  packageName: string,
  changes: Partial<Profile> = {},
): Profile {
  const [major = 0, minor = 0] = name.split('.').map(Number);
  const from = (version: number): boolean => major + minor / 100 >= version;
  const texts = from(10) ? MODERN : from(6) ? OF_6_TO_9 : OLD;
  const schema = schemaOf(name);
  return {
    name,
    version: { micro, minor, major },
    package: packageName,
    texts,
    json: from(11) ? PLACED_JSON_TEXTS : JSON_TEXTS,
    schema,
    checker: createChecker(schema, texts),
    hasJobEvents: from(3),
    forcesCancel: from(2.12),
    commitsActive: from(2),
    completesInStandby: from(6),
    setsDrive: from(6),
    diesOnSameDrive: from(6),
    diesOnEmptyMerge: from(6),
    diesOnEmptyReopen: from(6) && !from(11),
    diesOnConcludedStream: from(6) && !from(10),
    flaps: from(10) ? ALWAYS_FLAPS : from(6) ? SOME_FLAPS : {},
    streamLeavesBaseWritable: from(10),
    countsWholeDisk: !from(2),
    countsDataOnly: from(11),
    cancelledCommitLeavesBaseWritable: !from(10),
    sizeMismatch: from(6) ? 'Source and target image have different sizes' : 'Invalid argument',
    servesExports: false,
    hasGraphMod: !from(6),
    jobsHaveBackend: !from(6),
    mirrorNeedsAll: from(6),
    asksNewest: !from(6),
    diesOnStreamConflict: !from(6),
    throttleKeepsSize: !from(10),
    streamHasFilter: from(6),
    diesOnCycle: !from(6),
    filterOfBackup: from(6) ? 'copy-before-write' : 'backup-top',
    backupChunkBytes: from(6) ? 1_048_576 : 65_536,
    mirrorFilterTracks: from(10),
    ...changes,
  };
}

const MAKERS: Readonly<Record<ProfileName, () => Profile>> = {
  '1.0': () => profile('1.0', 0, ''),
  '1.1': () => profile('1.1', 0, ''),
  '1.3': () => profile('1.3', 0, ''),
  '2.4': () => profile('2.4', 0, ''),
  '2.12': () => profile('2.12', 0, ''),
  '3.1': () => profile('3.1', 0, ''),
  '5.2': () => profile('5.2', 0, 'Debian 1:5.2+dfsg-11+deb11u3'),
  '6.1': () => profile('6.1', 0, ''),
  '7.2': () => profile('7.2', 22, 'Debian 1:7.2+dfsg-7+deb12u18+b3'),
  '10.0': () => profile('10.0', 13, 'Debian 1:10.0.13+ds-0+deb13u1'),
  '11.1': () => profile('11.1', 3, 'Debian 1:11.1.3+ds-1~bpo13+1'),
};

const made = new Map<ProfileName, Profile>();

/** The profile of a version; made once. */
export function profileOf(name: ProfileName): Profile {
  let known = made.get(name);
  if (known === undefined) {
    known = MAKERS[name]();
    made.set(name, known);
  }
  return known;
}
