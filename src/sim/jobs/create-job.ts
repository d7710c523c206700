/** The job behind blockdev-create: makes a file, or writes a format's header into one (block/create.c, qcow2.c). */

import { passphraseFor } from '../graph/encryption.ts';
import { addUser, reap, removeUser } from '../graph/graph.ts';
import { flushNode, openedBelow, putImage } from '../graph/image-io.ts';
import { asFormat, createFile } from '../graph/images.ts';
import { openNode } from '../graph/open-node.ts';
import { checkPermissions } from '../graph/permissions.ts';
import { EMPTY } from '../host/contents.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode } from '../state/context.ts';
import type { CreateOptions } from '../state/job.ts';
import { Refusal, refuse } from '../state/refusal.ts';
import { ALL_PERMISSIONS, RESIZE, WRITE } from '../state/state.ts';
import { isLongName, layoutOf, refuseFile, refuseLongName } from './image-layouts.ts';
import { type JobDriver, registerDriver, workDone, workFailed } from './jobs.ts';

const create: JobDriver = {
  completes: false,
  holds: 'untilConcluded',
  work(ctx, job) {
    if (job.work.kind !== 'create') return;
    const fault = ctx.jobFault(job);
    ctx.tracks.set(job.id, { dirty: EMPTY, offset: 1, len: 1, bytesPerMs: 1, synced: false });
    try {
      if (fault?.failAtPercent !== undefined)
        refuse(fault.error ?? 'Could not create image: Input/output error');
      createNow(ctx, job.work.options);
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      workFailed(ctx, job.id, refusal.desc);
      return;
    }
    workDone(ctx, job.id);
  },
  prepare: () => undefined,
  abort: () => undefined,
};

registerDriver('create', create);

const FILE_BYTES_END = 2 ** 63;

function createNow(ctx: Context, options: CreateOptions): void {
  if (options.driver === 'file') {
    refuseFile(options.given, ctx.host.directories);
    const isTooLarge = options.sizeBytes >= FILE_BYTES_END;
    createFile(ctx, options.filename ?? '', isTooLarge ? 0 : Math.max(0, options.sizeBytes));
    if (options.given['preallocation'] === 'metadata') refuse('Unsupported preallocation mode: metadata');
    if (isTooLarge || options.sizeBytes < 0) refuse('Could not resize file: Invalid argument');
    return;
  }
  const format = asFormat(options.driver);
  if (format === undefined) refuse(`Driver '${options.driver}' does not support image creation`);
  const { file } = options.given;
  const inline = typeof file === 'object' ? openNode(ctx, file as Arguments).name : undefined;
  const name = inline ?? options.file ?? '';
  const node = lookupNode(ctx, name, name);
  const dataFile = options.given['data-file'];
  if (typeof dataFile === 'string') lookupNode(ctx, dataFile, dataFile);
  const made = layoutOf(format, options.sizeBytes, options.given);
  takeExclusively(ctx, node.name);
  if (openedBelow(ctx.q, node.name) === undefined) refuse(`Node '${name}' has no file`);
  if (ctx.host.freeBytes < 262_144) refuse('Could not write qcow2 header: No space left on device');
  const image = {
    format,
    ...made,
    backing: isLongName(options.given) ? undefined : options.backingFile,
    backingFormat: options.backingFormat === undefined ? undefined : asFormat(options.backingFormat),
    contents: EMPTY,
  };
  const encrypt = (): void => {
    const passphrase = passphraseFor(ctx, format, options.given);
    if (passphrase !== undefined) putImage(ctx, node.name, { ...image, passphrase });
  };
  if (format === 'luks') encrypt();
  else putImage(ctx, node.name, image);
  refuseLongName(options.given);
  if (format === 'qcow2') encrypt();
  flushNode(ctx, node.name);
  if (inline !== undefined) reap(ctx, inline);
}

/** The image is written with nothing else writing it: a user that comes and goes within this step. */
function takeExclusively(ctx: Context, name: string): void {
  const perm = WRITE | RESIZE;
  const edge = { kind: 'blk', parent: 'create', role: 'root', perm, shared: ALL_PERMISSIONS } as const;
  const before = ctx.q.nodes.get(name);
  addUser(ctx, name, edge);
  try {
    checkPermissions(ctx, [name]);
  } finally {
    if (before !== undefined) ctx.q.edit('nodes').set(name, before);
    removeUser(ctx, name, 'blk', 'create');
  }
}
