/**
 * What a snapshot is to be, from what libvirt takes as `<domainsnapshot>`: per disk its mode and its overlay, checked in
 * libvirt's order. It looks at files and changes none.
 */
import { posix } from 'node:path';
import type { Files } from '../images/files.ts';
import type { GuestDisk } from '../operations/survey.ts';
import { type LibvirtCategory, LibvirtError, refuse } from './errors.ts';

/** How one disk takes part. `manual`: a third party takes its snapshot while the guest is paused. */
export type SnapshotMode = 'external' | 'internal' | 'no' | 'manual';

/** One `<disk>` of a snapshot. */
export interface SnapshotDisk {
  /** The disk's name. */
  readonly name: string;
  readonly snapshot?: SnapshotMode;
  readonly type?: 'file' | 'block';
  /** The overlay; made up from the name of the snapshot when absent. */
  readonly source?: { readonly file: string };
  /** Where all that is written to the overlay goes as well (`strict` only): on every disk that takes part, or on none. */
  readonly mirror?: { readonly file: string };
  /** The overlay's format; qcow2. */
  readonly driver?: { readonly type: string };
}

/** A snapshot as libvirt's XML describes it. */
export interface SnapshotDefinition {
  readonly name?: string;
  readonly description?: string;
  readonly memory?: { readonly snapshot: 'no' | 'internal' | 'external' };
  /** Disks that are not listed take part as DISK_ONLY says. */
  readonly disks?: readonly SnapshotDisk[];
}

/** One overlay to make, with the disk that it goes on. */
interface Overlay {
  readonly name: string;
  readonly source: GuestDisk;
  readonly file: string;
  readonly reuse: boolean;
  /** The file of its mirror. */
  readonly mirror: string | undefined;
}

/** What the definition comes to for this guest. */
export interface ResolvedSnapshot {
  readonly overlays: readonly Overlay[];
  readonly pauses: boolean;
}

interface Choice {
  readonly name: string;
  readonly source: GuestDisk;
  readonly mode: SnapshotMode;
  readonly wanted: SnapshotDisk | undefined;
}

/** How the disks are found, and which flags there are. */
export interface SnapshotTerms {
  readonly name: string;
  readonly diskOnly: boolean;
  readonly reuse: boolean;
  readonly files: Files | null;
  find(name: string): GuestDisk;
}

const CHAIN_DEPTH_MAX = 200;

/** Throws in libvirt's terms; the order of the checks is libvirt's. */
export async function resolveSnapshot(
  { disks = [] }: SnapshotDefinition,
  guest: readonly GuestDisk[],
  terms: SnapshotTerms,
): Promise<ResolvedSnapshot> {
  const choices = align(disks, guest, terms);
  const overlays: Overlay[] = [];
  const external = choices.filter(({ mode }) => mode === 'external');
  for (const choice of external) overlays.push(await overlayOf(choice, terms));
  refuseModes(choices, terms.diskOnly);
  for (const overlay of overlays) {
    const { wanted } = external.find(({ source }) => source === overlay.source) ?? {};
    await refuseOverlay(overlay, wanted, terms);
  }
  return { overlays, pauses: choices.some(({ mode }) => mode === 'manual') };
}

/** Every disk of the guest with its mode: as listed, or as the flags say. */
function align(
  listed: readonly SnapshotDisk[],
  guest: readonly GuestDisk[],
  { diskOnly, find }: SnapshotTerms,
): readonly Choice[] {
  const inherited: SnapshotMode = diskOnly ? 'external' : 'internal';
  if (listed.length > guest.length) {
    refuse('CONFIG_UNSUPPORTED', `${listed.length} disks are listed, but the guest has ${guest.length}`);
  }
  const byDisk = new Map<GuestDisk, SnapshotDisk>();
  for (const wanted of listed) {
    refuseUnknown(wanted);
    const source = asConfig(() => find(wanted.name));
    if (byDisk.has(source)) refuse('CONFIG_UNSUPPORTED', `disk ${wanted.name} is listed twice`);
    if (wanted.source !== undefined && (wanted.snapshot ?? 'external') !== 'external') {
      refuse('CONFIG_UNSUPPORTED', `disk ${wanted.name}: an overlay is for an external snapshot only`);
    }
    if (wanted.mirror !== undefined && (wanted.snapshot ?? 'external') !== 'external') {
      refuse('CONFIG_UNSUPPORTED', `disk ${wanted.name}: a mirror is for an external snapshot only`);
    }
    byDisk.set(source, wanted);
  }
  return guest.map(source => {
    const wanted = byDisk.get(source);
    const omitted = source.readOnly ? 'no' : inherited;
    const mode =
      wanted?.snapshot ??
      (wanted?.source === undefined && wanted?.mirror === undefined ? omitted : 'external');
    return { name: wanted?.name ?? source.device ?? (source.drive || source.node), source, mode, wanted };
  });
}

const MODES: Readonly<Record<SnapshotMode, true>> = {
  external: true,
  internal: true,
  no: true,
  manual: true,
};

/** A mode that is misspelt must not leave its disk out. */
function refuseUnknown({ name, snapshot = 'no', type = 'file' }: SnapshotDisk): void {
  if (!Object.hasOwn(MODES, snapshot))
    refuse('CONFIG_UNSUPPORTED', `disk ${name}: there is no snapshot mode ${snapshot}`);
  if (type !== 'file' && type !== 'block')
    refuse('CONFIG_UNSUPPORTED', `disk ${name}: an overlay is of the type file or block, not ${type}`);
}

function refuseModes(choices: readonly Choice[], diskOnly: boolean): void {
  const of = (mode: SnapshotMode) => choices.filter(choice => choice.mode === mode);
  const [internal] = of('internal');
  const [external] = of('external');
  if (internal !== undefined) {
    const { name, source } = internal;
    if (diskOnly)
      refuse(
        'CONFIG_UNSUPPORTED',
        `disk ${name}: DISK_ONLY is not for internal snapshots of a running guest`,
      );
    const other = of('internal').find(choice => choice.source.driver !== 'qcow2');
    if (other !== undefined) {
      refuse(
        'CONFIG_UNSUPPORTED',
        `disk ${other.name} is ${other.source.driver}, which has no internal snapshots`,
      );
    }
    if (external !== undefined) {
      refuse(
        'CONFIG_UNSUPPORTED',
        `disks ${name} and ${external.name}: internal and external do not go together`,
      );
    }
    const left = [...of('no'), ...of('manual')].find(choice => !choice.source.readOnly);
    if (left !== undefined) {
      refuse('CONFIG_UNSUPPORTED', `disk ${left.name} would be left out of an internal snapshot`);
    }
    refuse(
      'OPERATION_UNSUPPORTED',
      `disk ${source.node}: internal snapshots are not made here; use DISK_ONLY`,
    );
  }
  if (external === undefined) refuse('CONFIG_UNSUPPORTED', 'no disk is selected for an external snapshot');
}

async function overlayOf({ name, source, wanted }: Choice, terms: SnapshotTerms): Promise<Overlay> {
  const { reuse, files } = terms;
  const given = wanted?.source?.file;
  const mirror = wanted?.mirror?.file;
  if (given !== undefined) return { name, source, file: given, reuse, mirror };
  const facts = await files?.stat(source.file);
  if (facts?.kind !== 'file') {
    return refuse(
      'CONFIG_UNSUPPORTED',
      `disk ${name}: an overlay's name is made up for regular files only; say one`,
    );
  }
  const { dir, name: stem } = posix.parse(source.file);
  const file = posix.join(dir, `${stem}.${terms.name}`);
  if (!reuse && (await files?.stat(file)) !== undefined) {
    refuse('CONFIG_UNSUPPORTED', `disk ${name}: ${file}, the name made up for its overlay, is taken`);
  }
  return { name, source, file, reuse, mirror };
}

async function refuseOverlay(
  { name, source, file, reuse }: Overlay,
  wanted: SnapshotDisk | undefined,
  { files }: SnapshotTerms,
): Promise<void> {
  const format = wanted?.driver?.type ?? 'qcow2';
  if (format === 'qed') refuse('OPERATION_UNSUPPORTED', `disk ${name}: qed overlays are not made here`);
  if (format !== 'qcow2') refuse('CONFIG_UNSUPPORTED', `disk ${name}: an overlay is qcow2, not ${format}`);
  if (source.chain.length + 1 > CHAIN_DEPTH_MAX) {
    refuse('OPERATION_UNSUPPORTED', `disk ${name} would have a chain of more than ${CHAIN_DEPTH_MAX} images`);
  }
  if (files === null) return;
  const facts = await files.stat(file);
  if (wanted?.type === 'block') {
    if (facts === undefined) refuse('OPERATION_UNSUPPORTED', `disk ${name}: there is no device ${file}`);
    if (facts.kind !== 'blockDevice')
      refuse('CONFIG_UNSUPPORTED', `disk ${name}: ${file} is no block device`);
    if (!reuse)
      refuse('OPERATION_UNSUPPORTED', `disk ${name}: format ${file} as qcow2 first, then REUSE_EXT`);
    return;
  }
  if (reuse && facts === undefined) {
    throw new LibvirtError('SYSTEM_ERROR', `disk ${name}: ${file} is to be reused, but it is not there`, {
      errno: 'ENOENT',
    });
  }
  if (facts !== undefined && facts.kind !== 'file') {
    refuse('CONFIG_UNSUPPORTED', `disk ${name}: ${file} is not a regular file`);
  }
}

/** A disk that is not there is a mistake in the definition. */
function asConfig<T>(find: () => T): T {
  try {
    return find();
  } catch (cause) {
    const category: LibvirtCategory = 'CONFIG_UNSUPPORTED';
    throw new LibvirtError(category, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
