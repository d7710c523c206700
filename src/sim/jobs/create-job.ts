/** The job behind blockdev-create: makes a file, or writes a format's header into one (block/create.c, qcow2.c). */

import { addUser, removeUser } from '../graph/graph.ts';
import { flushNode, openedBelow, putImage } from '../graph/image-io.ts';
import { asFormat, createFile } from '../graph/images.ts';
import { checkPermissions } from '../graph/permissions.ts';
import { EMPTY } from '../host/contents.ts';
import { type Context, lookupNode } from '../state/context.ts';
import type { CreateOptions } from '../state/job.ts';
import { Refusal, refuse } from '../state/refusal.ts';
import { ALL_PERMISSIONS, RESIZE, WRITE } from '../state/state.ts';
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

const SECTOR_BYTES = 512;

function createNow(ctx: Context, options: CreateOptions): void {
  if (options.driver === 'file') {
    createFile(ctx, options.filename ?? '', Math.max(0, options.sizeBytes));
    if (options.sizeBytes < 0) refuse('Could not resize file: Invalid argument');
    return;
  }
  const format = asFormat(options.driver);
  if (format === undefined) refuse(`Driver '${options.driver}' does not support image creation`);
  const name = options.file ?? '';
  const node = lookupNode(ctx, name, name);
  if (format === 'qcow2' && options.sizeBytes % SECTOR_BYTES !== 0)
    refuse(`Image size must be a multiple of ${SECTOR_BYTES} bytes`);
  takeExclusively(ctx, node.name);
  if (openedBelow(ctx.q, node.name) === undefined) refuse(`Node '${name}' has no file`);
  if (ctx.host.freeBytes < 262_144) refuse('Could not write qcow2 header: No space left on device');
  putImage(ctx, node.name, {
    format,
    sizeBytes: options.sizeBytes,
    backing: options.backingFile,
    backingFormat: options.backingFormat === undefined ? undefined : asFormat(options.backingFormat),
    contents: EMPTY,
  });
  flushNode(ctx, node.name);
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
