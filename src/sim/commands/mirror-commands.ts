/**
 * blockdev-mirror and drive-mirror: what they check, in QEMU's order, before a mirror starts (blockdev.c of 7.2:
 * qmp_blockdev_mirror(), blockdev_mirror_common()).
 */

import type { Json } from '../../qmp/transport.ts';
import { fileName } from '../graph/file-name.ts';
import { reap, refuseIfBlocked, refuseUnlessRoot, skipFilters, skipImplicitFilters } from '../graph/graph.ts';
import { sizeOf } from '../graph/image-io.ts';
import { createImage } from '../graph/images.ts';
import { openNode, refuseBadName } from '../graph/open-node.ts';
import { checkedSpeed, jobId, numberOr } from '../jobs/job-arguments.ts';
import { refuseBadJobId } from '../jobs/jobs.ts';
import { backingBelow, type MirrorRequest, startMirror } from '../jobs/mirror.ts';
import { canReplace } from '../jobs/mirror-exit.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode, nodeOf } from '../state/context.ts';
import { refuse } from '../state/refusal.ts';
import type { BlockNode } from '../state/state.ts';

const GRANULARITY_BYTES = 65_536;

export function blockdevMirror(ctx: Context, args: Arguments): Json {
  const source = rootNode(ctx, String(args['device']));
  const target = lookupNode(ctx, String(args['target']), String(args['target']));
  startCommon(ctx, args, source, target, {
    opensTarget: false,
    zeroesTarget: args['sync'] === 'full',
    backing: undefined,
  });
  return {};
}

export function driveMirror(ctx: Context, args: Arguments): Json {
  const source = rootNode(ctx, String(args['device']));
  const backing = backingBelow(ctx, source.name);
  const sync = args['sync'] === 'top' && backing === undefined ? 'full' : String(args['sync']);
  const existing = args['mode'] === 'existing';
  if (typeof args['replaces'] === 'string' && args['node-name'] === undefined) {
    refuse('a node-name must be provided when replacing a named node of the graph');
  }
  const path = String(args['target']);
  const format = typeof args['format'] === 'string' ? args['format'] : source.driver;
  const below = sync === 'none' ? source.name : sync === 'top' ? backing : undefined;
  if (!existing) {
    const backingPath = below === undefined ? undefined : fileName(ctx, nodeOf(ctx.q, below));
    createImage(ctx, {
      path,
      format,
      sizeBytes: sizeOf(ctx, source),
      backing: backingPath,
      backingFormat: below === undefined ? undefined : nodeOf(ctx.q, below).driver,
    });
  }
  const name = args['node-name'];
  const target = openNode(
    ctx,
    {
      driver: format,
      file: { driver: 'file', filename: path },
      ...(format === 'raw' ? {} : { backing: null }),
      ...(typeof name === 'string' ? { 'node-name': name } : {}),
    },
    { unmap: args['unmap'] !== false },
  );
  try {
    startCommon(ctx, { ...args, sync }, source, target, {
      opensTarget: true,
      zeroesTarget: args['sync'] === 'full' && existing,
      backing: existing ? undefined : below,
    });
  } finally {
    reap(ctx, target.name);
  }
  return {};
}

/** QEMU's qmp_get_root_bs(). */
function rootNode(ctx: Context, device: string): BlockNode {
  const node = lookupNode(ctx, device, device);
  refuseUnlessRoot(node);
  return node;
}

function startCommon(
  ctx: Context,
  args: Arguments,
  source: BlockNode,
  target: BlockNode,
  origin: Pick<MirrorRequest, 'opensTarget' | 'zeroesTarget' | 'backing'>,
): void {
  const granularity = numberOr(args['granularity'], 0);
  if (granularity !== 0 && (granularity < 512 || granularity > 64 * 1_048_576)) {
    refuse("Parameter 'granularity' expects a value in range [512B, 64MB]");
  }
  if ((granularity & (granularity - 1)) !== 0) refuse("Parameter 'granularity' expects a power of 2");
  refuseIfBlocked(ctx, source, 'mirrorSource');
  refuseIfBlocked(ctx, target, 'mirrorTarget');
  const sync = args['sync'] === 'top' && backingBelow(ctx, source.name) === undefined ? 'full' : args['sync'];
  const replaces = replacedNode(ctx, source, args['replaces']);
  const id = jobId(ctx, args['job-id'], source);
  if (sync !== 'full' && sync !== 'top' && sync !== 'none')
    refuse(`Sync mode '${String(sync)}' not supported`);
  if (numberOr(args['buf-size'], 0) < 0) refuse("Invalid parameter 'buf-size'");
  if (skipFilters(ctx, source.name).name === skipFilters(ctx, target.name).name)
    refuse("Can't mirror node into itself");
  const filterName = typeof args['filter-node-name'] === 'string' ? args['filter-node-name'] : undefined;
  if (filterName !== undefined) refuseBadName(ctx, filterName);
  refuseBadJobId(ctx, id);
  const speed = checkedSpeed(ctx, id, args['speed']);
  startMirror(ctx, {
    id,
    source: source.name,
    target: target.name,
    sync,
    replaces,
    filterName,
    speed,
    granularity: granularity === 0 ? GRANULARITY_BYTES : granularity,
    writeBlocking: args['copy-mode'] === 'write-blocking',
    autoFinalize: args['auto-finalize'] !== false,
    autoDismiss: args['auto-dismiss'] !== false,
    commit: false,
    baseWasReadOnly: false,
    ...origin,
    onTargetError: String(args['on-target-error'] ?? 'report'),
    onSourceError: String(args['on-source-error'] ?? 'report'),
  });
}

function replacedNode(ctx: Context, source: BlockNode, named: Json | undefined): string | undefined {
  if (typeof named !== 'string') {
    const unfiltered = skipImplicitFilters(ctx, source.name).name;
    return unfiltered === source.name ? undefined : unfiltered;
  }
  const replaced = ctx.q.nodes.get(named) ?? refuse(ctx.profile.texts.cannotFindReplaced(named));
  refuseIfBlocked(ctx, replaced, 'replace');
  if (!canReplace(ctx, source.name, named)) {
    refuse(
      `Cannot replace '${named}' by a node mirrored from '${source.name}', because it cannot be guaranteed that doing so would not lead to an abrupt change of visible data`,
    );
  }
  if (sizeOf(ctx, replaced) !== sizeOf(ctx, source)) {
    refuse('cannot replace image with a mirror image of different size');
  }
  return named;
}
