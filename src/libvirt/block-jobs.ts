/**
 * The calls that begin a block job: checked as libvirt checks them, then begun as a saga of one disk. Copies and active
 * commits wait, ready, until `blockJobAbort` says what becomes of them; the others end by themselves.
 */
import { definedOnly } from '../errors.ts';
import { placeOfImage, relativePath } from '../operations/find-image.ts';
import type { GuestDisk } from '../operations/survey.ts';
import { type Bandwidth, bytesPerSecond } from './bandwidth.ts';
import {
  type CopyDestination,
  type CopyParameters,
  checkDestination,
  planDestination,
  readParameters,
  type TypedParameter,
} from './copy-destination.ts';
import { type DomainCore, expectName, refusedAs } from './domain-core.ts';
import { inLibvirtTerms, LibvirtError, refuse } from './errors.ts';
import { BLOCK_COMMIT, BLOCK_COPY, BLOCK_PULL, BLOCK_REBASE, type Flags, readFlags } from './flags.ts';
import { lookUnlessOff, mergeWithoutQemu } from './offline.ts';

const FOR_COPY_ONLY = ['SHALLOW', 'REUSE_EXT', 'COPY_RAW', 'COPY_DEV'] as const;

export async function blockPull(
  core: DomainCore,
  disk: string,
  bandwidth: Bandwidth,
  given: Flags<typeof BLOCK_PULL>,
): Promise<void> {
  const flags = readFlags('blockPull', BLOCK_PULL, given);
  expectName('blockPull', 'the disk', disk);
  await pull(core, disk, null, bytesPerSecond(bandwidth, unitOf(flags)), false);
}

export async function blockRebase(
  core: DomainCore,
  disk: string,
  base: string | null,
  bandwidth: Bandwidth,
  given: Flags<typeof BLOCK_REBASE>,
): Promise<void> {
  const flags = readFlags('blockRebase', BLOCK_REBASE, given);
  expectName('blockRebase', 'the disk', disk);
  const speed = bytesPerSecond(bandwidth, unitOf(flags));
  const relative = flags.has('RELATIVE');
  if (!flags.has('COPY')) {
    const alone = FOR_COPY_ONLY.find(flag => flags.has(flag));
    if (alone !== undefined) refuse('INVALID_ARG', `blockRebase: ${alone} needs COPY`);
    if (relative && base === null) refuse('INVALID_ARG', 'blockRebase: RELATIVE needs a base');
    return pull(core, disk, base, speed, relative);
  }
  if (base === null) refuse('INVALID_ARG', 'blockRebase: COPY needs a destination');
  if (relative) refuse('ARGUMENT_UNSUPPORTED', 'blockRebase: RELATIVE does not go with COPY');
  const destination: CopyDestination = {
    file: base,
    type: flags.has('COPY_DEV') ? 'block' : 'file',
    ...(flags.has('COPY_RAW') ? { driver: 'raw' } : {}),
  };
  checkDestination('blockRebase', destination);
  const order = {
    shallow: flags.has('SHALLOW'),
    reuse: flags.has('REUSE_EXT'),
    transient: false,
    sync: false,
  };
  return copy(core, disk, destination, { bandwidth: speed }, order);
}

export async function blockCopy(
  core: DomainCore,
  disk: string,
  destination: CopyDestination,
  parameters: readonly TypedParameter[],
  given: Flags<typeof BLOCK_COPY>,
): Promise<void> {
  const flags = readFlags('blockCopy', BLOCK_COPY, given);
  expectName('blockCopy', 'the disk', disk);
  checkDestination('blockCopy', destination);
  return copy(core, disk, destination, readParameters(parameters), {
    shallow: flags.has('SHALLOW'),
    reuse: flags.has('REUSE_EXT'),
    transient: flags.has('TRANSIENT_JOB'),
    sync: flags.has('SYNCHRONOUS_WRITES'),
  });
}

export async function blockCommit(
  core: DomainCore,
  disk: string,
  base: string | null,
  top: string | null,
  bandwidth: Bandwidth,
  given: Flags<typeof BLOCK_COMMIT>,
): Promise<void> {
  const flags = readFlags('blockCommit', BLOCK_COMMIT, given);
  expectName('blockCommit', 'the disk', disk);
  const speed = bytesPerSecond(bandwidth, unitOf(flags));
  const shallow = flags.has('SHALLOW');
  const images = definedOnly({ top: top ?? undefined, base: base ?? undefined });
  await core.inTurn(async () => {
    const sight = core.profile === 'strict' ? await lookUnlessOff(core) : await core.look();
    if (sight === undefined) {
      const order = { shallow, relative: flags.has('RELATIVE'), delete: flags.has('DELETE') };
      await mergeWithoutQemu(core, { disks: [{ disk, ...images }], ...order });
      return;
    }
    const source = await core.freeDisk(sight, disk);
    const isActive = top === null || placeOfImage({ disk, source }, top) === 0;
    if (isActive && !flags.has('ACTIVE'))
      refuse('INVALID_ARG', `commit of the active image of ${disk} needs ACTIVE`);
    if (!isActive && flags.has('ACTIVE')) refuse('INVALID_ARG', `${top} is not the active image of ${disk}`);
    const relative = flags.has('RELATIVE') && !isActive;
    if (relative) expectRelative(disk, source, top, base, shallow);
    await core.begin(isActive ? 'ACTIVE_COMMIT' : 'COMMIT', () =>
      core.options.engine.commit({
        ...core.request,
        disks: [{ disk, ...(top === null || isActive ? {} : { top }), ...(base === null ? {} : { base }) }],
        bandwidth: speed,
        shallow,
        relative,
        delete: flags.has('DELETE'),
        ...(isActive ? { active: true, finish: 'leave' } : {}),
      }),
    );
  });
}

/** Throws OPERATION_INVALID where the headers do not let a relative path be inferred; a place that is not there is left to the planner. */
function expectRelative(
  disk: string,
  source: GuestDisk,
  top: string | null,
  base: string | null,
  shallow: boolean,
): void {
  const found = { disk, source };
  const from = top === null ? 1 : placeOfImage(found, top);
  const lowest = shallow ? from + 1 : source.chain.length - 1;
  const to = base === null ? lowest : placeOfImage(found, base);
  if (from >= 1 && to > from) refusedAs('OPERATION_INVALID', () => relativePath(found, from - 1, to));
}

function pull(
  core: DomainCore,
  disk: string,
  base: string | null,
  bandwidth: number,
  relative: boolean,
): Promise<void> {
  return core.inTurn(async () => {
    const source = await core.freeDisk(await core.look(), disk);
    if (relative && base !== null) {
      const to = placeOfImage({ disk, source }, base);
      if (to > 0) refusedAs('OPERATION_INVALID', () => relativePath({ disk, source }, 0, to));
    }
    const disks = [{ disk, ...(base === null ? {} : { base }) }];
    await core.begin('PULL', () => core.options.engine.pull({ ...core.request, disks, bandwidth, relative }));
  });
}

interface CopyFlags {
  readonly shallow: boolean;
  readonly reuse: boolean;
  readonly transient: boolean;
  readonly sync: boolean;
}

function copy(
  core: DomainCore,
  disk: string,
  destination: CopyDestination,
  parameters: CopyParameters,
  { shallow, reuse, transient, sync }: CopyFlags,
): Promise<void> {
  return core.inTurn(async () => {
    const source = await core.freeDisk(await core.look(), disk);
    if (core.options.persistent === true && !transient) {
      refuse('OPERATION_INVALID', 'the domain is not transient: a copy would not be known at its next start');
    }
    const order = { disk, destination, shallow, reuse, profile: core.profile };
    const wanted = await planDestination(order, source, core.files);
    if (wanted.format === 'qcow2') await refuseShared(core, disk, source);
    const submit = () =>
      core.options.engine.copy({
        ...core.request,
        ...parameters,
        disks: [wanted],
        syncWrites: sync,
        finish: 'leave',
      });
    await core.begin('COPY', submit);
  });
}

/** A device that lets others write to its disk must not be put on a format that two cannot write to at once. */
async function refuseShared(core: DomainCore, disk: string, { qdev }: GuestDisk): Promise<void> {
  if (qdev === null) return;
  const path = qdev.replace(/\/virtio-backend$/, '');
  const [reply] = await core.ask(qmp =>
    qmp.pipeline([{ execute: 'qom-get', arguments: { path, property: 'share-rw' } }]),
  );
  if (!reply.ok) {
    // A device without that property does not share.
    if (reply.error.code === 'QMP_COMMAND') return;
    throw inLibvirtTerms(reply.error);
  }
  if (reply.value !== true) return;
  throw new LibvirtError('OPERATION_UNSUPPORTED', `disk ${disk} is shared, which a qcow2 image cannot be`);
}

function unitOf(flags: ReadonlySet<string>): 'MiB' | 'bytes' {
  return flags.has('BANDWIDTH_BYTES') ? 'bytes' : 'MiB';
}
