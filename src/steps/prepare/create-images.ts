/**
 * Formats the new images and opens them as nodes of the saga's own names: overlays without a backing image, copy
 * targets on theirs. Nothing of the guest touches them yet, so the undo just closes them; the files are `claimFiles`'s.
 */

import { BlocksagaError, definedOnly, invariant } from '../../errors.ts';
import { type Graph, readGraph } from '../../guest/graph.ts';
import { luksSecret, openChain, qcow2Secret } from '../../guest/revive-source.ts';
import { readNbdAddress } from '../../images/nbd-address.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import { createJobs } from '../../qmp/jobs.ts';
import type { BlockdevRefOrNull } from '../../qmp/schema.generated.ts';
import { isConcluded } from '../jobs/await-jobs.ts';
import { dismissJobs } from '../jobs/dismiss-jobs.ts';
import { throwFirst } from '../step/replies.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { CREATE_DEADLINE_MS, closeImages, keepTouched } from './close-images.ts';
import { expectHeaders } from './expect-headers.ts';
import { expectNames } from './expect-names.ts';
import { proveHeaders } from './prove-headers.ts';
import { takeOutImages } from './take-out-image.ts';

export const createImages: Step = {
  name: 'createImages',
  withoutDevices: true,

  async probe({ qmp, plan }) {
    const graph = await readGraph(qmp);
    return probeDisks(plan.disks, disk => {
      const node = graph.node(disk.names.image);
      if (node === undefined) return 'absent';
      return node.drv === disk.image.driver && isUnused(graph, disk) ? 'present' : 'foreign';
    });
  },

  async do(context, todo) {
    await closeImages(context, todo);
    // QEMU opens and truncates whatever stands under a name.
    await expectNames(context, 'claimed');
    const made = todo.filter(disk => disk.image.create);
    await create(context, made, disk => ({
      driver: 'file',
      filename: disk.image.file,
      size: disk.image.driver === 'raw' ? disk.image.sizeBytes : 0,
      ...(disk.image.driver === 'raw' ? preallocationOf(disk) : {}),
    }));
    await expectNames(context, 'claimed');
    throwFirst(todo, await context.qmp.pipeline(todo.map(openProtocol)));
    // Opened, and not written to yet: what is written from here on goes to this very file, whatever becomes of its name.
    await expectNames(context, 'opened');
    const formatted = todo.filter(
      ({ image }) => (image.create && image.driver !== 'raw') || image.formats === true,
    );
    await create(
      context,
      formatted.filter(disk => !isEncrypted(disk)),
      formatOptions,
    );
    await createEncrypted(context, formatted.filter(isEncrypted));
    await proveHeaders(context, todo);
    await expectHeaders(context, todo);
    throwFirst(todo, await context.qmp.pipeline(todo.map(openFormat)));
    return null;
  },

  async undo(context) {
    const hasLeft = ({ index }: DiskPlan) => context.unplugged.some(left => left.index === index);
    const disks = context.plan.disks.filter(disk => !hasLeft(disk));
    await keepTouched(context);
    try {
      await closeImages(context, disks);
    } catch (error) {
      if ((await takeOutImages(context)).length === 0) throw error;
      await closeImages(context, disks);
    }
    // What a filter of an administrator's stands on cannot be closed, and is left and named.
    for (const disk of context.plan.disks.filter(hasLeft))
      await closeImages(context, [disk]).catch(unlessInUse);
  },
};

function unlessInUse(error: unknown): void {
  if (!(error instanceof BlocksagaError && error.code === 'QMP_COMMAND')) throw error;
}

function isUnused(graph: Graph, disk: DiskPlan): boolean {
  return graph.front(disk) !== disk.names.image;
}

function isEncrypted({ image }: DiskPlan): boolean {
  return image.secret !== undefined;
}

type CreateOptions = (Command<'blockdev-create'> & object)['arguments']['options'];

/**
 * Where QEMU makes keys it measures how long that takes, and gives up where the host's clock is too coarse for that (seen
 * on 7.2): nothing has been written then.
 */
const KEYS_TRIES = 8;

/** Creates images whose keys QEMU has to make, again when it did not. */
async function createEncrypted(context: StepContext, disks: readonly DiskPlan[]): Promise<void> {
  for (const disk of disks) {
    for (let tries = 1; ; tries += 1) {
      try {
        await create(context, [disk], formatOptions);
        break;
      } catch (error) {
        const isJob = error instanceof BlocksagaError && error.code === 'JOB_FAILED';
        if (!isJob || tries === KEYS_TRIES) throw error;
      }
    }
  }
}

/** Runs one `blockdev-create` job per disk and reads each verdict. */
async function create(
  { qmp }: StepContext,
  disks: readonly DiskPlan[],
  options: (disk: DiskPlan) => CreateOptions,
): Promise<void> {
  if (disks.length === 0) return;
  const jobs = createJobs(qmp);
  const ids = disks.map(disk => disk.names.createJob);
  const started = await qmp.pipeline(
    disks.map(disk => ({
      execute: 'blockdev-create' as const,
      arguments: { 'job-id': disk.names.createJob, options: options(disk) },
    })),
  );
  const running = ids.filter((_id, at) => started[at]?.ok);
  // While QEMU makes keys it does not answer: for seconds, or much longer on a host without time for it.
  if (disks.some(isEncrypted)) await qmp.execute('query-jobs', {}, { deadlineMs: CREATE_DEADLINE_MS });
  const ended = await jobs.awaitAll(running, isConcluded, {
    deadlineMs: CREATE_DEADLINE_MS,
  });
  await dismissJobs({ jobs }, running);
  throwFirst(disks, started);
  for (const disk of disks) {
    const verdict = ended.get(disk.names.createJob);
    if (verdict !== undefined && verdict.error === undefined) continue;
    throw new BlocksagaError(
      verdict === undefined ? 'JOB_VANISHED' : 'JOB_FAILED',
      `the image ${disk.image.file} for disk ${disk.disk} could not be created: ${verdict?.error ?? 'its job is gone'}`,
      {
        disk: disk.disk,
        qmp: { command: 'blockdev-create', class: 'JobError', desc: verdict?.error ?? 'job vanished' },
      },
    );
  }
}

function formatOptions(disk: DiskPlan): CreateOptions {
  const { backing, backingName, driver, sizeBytes } = disk.image;
  const common = { file: disk.names.imageFile, size: sizeBytes };
  if (driver === 'luks') return { driver, ...common, ...luksSecret(disk.image), ...preallocationOf(disk) };
  return {
    driver: 'qcow2',
    ...common,
    ...qcow2Secret(disk.image),
    ...layoutOptions(disk),
    ...preallocationOf(disk),
    ...(backing === null
      ? {}
      : { 'backing-file': backingName ?? backing.file, 'backing-fmt': backing.driver as 'qcow2' | 'raw' }),
  };
}

function layoutOptions({ image: { layout = {} } }: DiskPlan) {
  const { clusterBytes, extendedL2, lazyRefcounts, refcountBits, compression } = layout;
  return definedOnly({
    'cluster-size': clusterBytes,
    'extended-l2': extendedL2,
    'lazy-refcounts': lazyRefcounts,
    'refcount-bits': refcountBits,
    'compression-type': compression,
  });
}

function preallocationOf({ image: { preallocation } }: DiskPlan) {
  return preallocation === undefined ? {} : { preallocation };
}

function aioOf({ image: { opens } }: DiskPlan) {
  return opens?.aio === undefined ? {} : { aio: opens.aio };
}

/** Zeroes that a mirror unmaps would take back space that was allocated beforehand. */
function discardOf({ image: { opens, preallocation = 'off' } }: DiskPlan): 'unmap' | 'ignore' {
  return opens?.discard ?? (preallocation === 'off' ? 'unmap' : 'ignore');
}

function openProtocol(disk: DiskPlan): Command<'blockdev-add'> {
  const { protocol, file } = disk.image;
  const common = {
    'node-name': disk.names.imageFile,
    cache: { direct: disk.cache.direct, 'no-flush': disk.cache.noFlush },
    discard: discardOf(disk),
  } as const;
  if (protocol !== 'nbd') {
    return {
      execute: 'blockdev-add',
      arguments: { driver: protocol, filename: file, ...common, ...aioOf(disk) },
    };
  }
  const address = readNbdAddress(file);
  invariant(address !== undefined, `${file} was read as an NBD address when it was planned`);
  return { execute: 'blockdev-add', arguments: { driver: 'nbd', ...address, ...common } };
}

/** The nodes that a new image is open as, from the top. */
export function openedAs({ names }: DiskPlan): readonly string[] {
  return [names.image, names.imageFile];
}

/** Opens the image over its protocol node, on its backing image where the plan says so. */
export function openFormat(disk: DiskPlan): Command<'blockdev-add'> {
  const options = {
    'node-name': disk.names.image,
    file: disk.names.imageFile,
    cache: { direct: disk.cache.direct, 'no-flush': disk.cache.noFlush },
    discard: discardOf(disk),
    'detect-zeroes': disk.detectZeroes as 'off' | 'on' | 'unmap',
  } as const;
  if (disk.image.driver === 'raw')
    return { execute: 'blockdev-add', arguments: { driver: 'raw', ...options, ...sliceOf(disk) } };
  if (disk.image.driver === 'luks') {
    return {
      execute: 'blockdev-add',
      arguments: { driver: 'luks', ...options, ...luksSecret(disk.image) },
    };
  }
  return {
    execute: 'blockdev-add',
    arguments: { driver: 'qcow2', ...options, ...qcow2Secret(disk.image), backing: backingOption(disk) },
  };
}

/** A raw image at the beginning of what is larger shows the guest no more than its disk had. */
function sliceOf({ image: { holderBytes, sizeBytes } }: DiskPlan) {
  return holderBytes === undefined ? {} : { size: sizeBytes };
}

/** What to open the image on: the node that the source has there, or the chain by its stated formats. */
function backingOption({ image }: DiskPlan): BlockdevRefOrNull {
  if (!image.openBacking || image.backing === null) return null;
  const at = image.openedOn ?? image.backing;
  return at.node ?? openChain([image.backing, ...image.below]);
}
