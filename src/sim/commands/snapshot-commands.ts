/**
 * Snapshots, alone and as actions of a transaction; files that were created stay when the snapshots are undone
 * (blockdev.c of 7.2: external_snapshot_prepare(), external_snapshot_abort()).
 */

import type { Json } from '../../qmp/transport.ts';
import { fileName } from '../graph/file-name.ts';
import {
  childOf,
  reaches,
  reap,
  refuseCycle,
  refuseIfBlocked,
  replaceNode,
  setChild,
} from '../graph/graph.ts';
import { flushNode, sizeOf } from '../graph/image-io.ts';
import { createImage, openOverlay } from '../graph/images.ts';
import { BACKING_DRIVERS } from '../graph/open-node.ts';
import { checkPermissions, cumulative, tryReadOnly } from '../graph/permissions.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode, nodeOf } from '../state/context.ts';
import { Death, refuse } from '../state/refusal.ts';
import { CONSISTENT_READ } from '../state/state.ts';

/** A snapshot that has been taken, and can be made final or be undone. */
export interface Taken {
  commit(): void;
  abort(): void;
  /** What is told of it when the transaction fails that it is part of. */
  withdraw?(): void;
  /** Whether the overlay had users before: those are what is not put back. */
  readonly hadUsers: boolean;
}

export function blockdevSnapshot(ctx: Context, args: Arguments): Json {
  snapshot(ctx, args).commit();
  return {};
}

export function blockdevSnapshotSync(ctx: Context, args: Arguments): Json {
  snapshotSync(ctx, args).commit();
  return {};
}

export function snapshot(ctx: Context, data: Arguments): Taken {
  const node = lookupNode(ctx, String(data['node']), String(data['node']));
  refuseIfBlocked(ctx, node, 'snapshot');
  flushNode(ctx, node.name);
  const overlay = lookupNode(ctx, String(data['overlay']), String(data['overlay']));
  return appendOverlay(ctx, node.name, overlay.name);
}

export function snapshotSync(ctx: Context, data: Arguments): Taken {
  const device = typeof data['device'] === 'string' ? data['device'] : undefined;
  const named = typeof data['node-name'] === 'string' ? data['node-name'] : undefined;
  const node = lookupNode(ctx, device, named);
  refuseIfBlocked(ctx, node, 'snapshot');
  flushNode(ctx, node.name);
  const path = String(data['snapshot-file']);
  const format = typeof data['format'] === 'string' ? data['format'] : 'qcow2';
  const name = typeof data['snapshot-node-name'] === 'string' ? data['snapshot-node-name'] : undefined;
  if (named !== undefined && name === undefined) refuse(ctx.profile.texts.overlayNameMissing);
  if (name !== undefined && isTaken(ctx, name)) refuse(ctx.profile.texts.overlayNameTaken);
  if (data['mode'] !== 'existing') {
    createImage(ctx, {
      path,
      format,
      sizeBytes: sizeOf(ctx, node),
      backing: fileName(ctx, node),
      backingFormat: node.driver,
    });
  }
  const overlay = openOverlay(ctx, path, format, name);
  const taken = appendOverlay(ctx, node.name, overlay);
  reap(ctx, overlay);
  return taken;
}

function isTaken(ctx: Context, name: string): boolean {
  return (
    ctx.q.nodes.get(name) !== undefined || [...ctx.q.backends.values()].some(backend => backend.name === name)
  );
}

/** bdrv_append(): the overlay takes over all users of the node, which becomes its backing node. */
function appendOverlay(ctx: Context, name: string, overlayName: string): Taken {
  const overlay = nodeOf(ctx.q, overlayName);
  if ((cumulative(ctx.q, overlay).perm & CONSISTENT_READ) !== 0) refuse('The overlay is already in use');
  if (overlay.isFilter) refuse('Filters cannot be used as overlays');
  if (childOf(overlay, 'backing') !== undefined) refuse('The overlay already has a backing image');
  if (!BACKING_DRIVERS.has(overlay.driver)) refuse('The overlay does not support backing images');
  if (ctx.profile.diesOnCycle && reaches(ctx, name, overlayName)) {
    throw new Death('SIGSEGV', `a snapshot of ${name} to ${overlayName}, on which it stands`);
  }
  refuseCycle(ctx, overlayName, 'backing', name);
  setChild(ctx, overlayName, 'backing', name);
  replaceNode(ctx, name, overlayName);
  checkPermissions(ctx, [overlayName]);
  return {
    // The image below is no longer written. QEMU ignores a failure here, and so do we.
    commit: () => tryReadOnly(ctx, name),
    abort: () => undo(ctx, name, overlayName),
    hadUsers: overlay.parents.length > 0,
  };
}

/** All users of the overlay go to the node, also those that it had before the snapshot (seen on 7.2). */
function undo(ctx: Context, name: string, overlayName: string): void {
  setChild(ctx, overlayName, 'backing', undefined);
  replaceNode(ctx, overlayName, name);
  reap(ctx, overlayName);
}
