/**
 * block-commit: an active one is a mirror into the base; one further down copies into the base and drops what was above
 * (block/commit.c, qmp_block_commit() of 7.2).
 */

import type { Json } from '../../qmp/transport.ts';
import { fileName } from '../graph/file-name.ts';
import { below, chain, refuseIfBlocked, refuseUnlessRoot, skipFilters } from '../graph/graph.ts';
import { pathOf } from '../graph/image-io.ts';
import { makeWritable } from '../graph/make-writable.ts';
import { refuseBadName } from '../graph/open-node.ts';
import { cumulative } from '../graph/permissions.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode } from '../state/context.ts';
import { refuse } from '../state/refusal.ts';
import { type BlockNode, WRITE } from '../state/state.ts';
import { startCommit } from './commit-job.ts';
import { checkedSpeed, jobId } from './job-arguments.ts';
import { refuseBadJobId } from './jobs.ts';
import { startMirror } from './mirror.ts';

const GRANULARITY_BYTES = 65_536;

export function blockCommit(ctx: Context, args: Arguments): Json {
  const device = String(args['device']);
  const root = rootForCommit(ctx, device);
  refuseIfBlocked(ctx, root, 'commitSource');
  const top = topNode(ctx, args, root);
  const base = baseNode(ctx, args, top);
  for (const node of chain(ctx, top.name)) {
    refuseIfBlocked(ctx, node, 'commitTarget');
    if (node.name === base.name) break;
  }
  if (top.name === base.name) refuse('cannot commit an image into itself');
  const isActive = skipFilters(ctx, top.name).name === skipFilters(ctx, root.name).name;
  if (isActive && !ctx.profile.commitsActive)
    refuse('Top image as the active layer is currently unsupported');
  const hasWriter = (cumulative(ctx.q, top).perm & WRITE) !== 0;
  const filterName = typeof args['filter-node-name'] === 'string' ? args['filter-node-name'] : undefined;
  if (isActive || hasWriter) {
    if (args['backing-file'] !== undefined) {
      refuse(
        `'backing-file' specified, but 'top' ${isActive ? 'is the active layer' : 'has a writer on it'}`,
      );
    }
    if (skipFilters(ctx, top.name).name === skipFilters(ctx, base.name).name) {
      refuse("Can't mirror node into itself");
    }
  }
  const id = jobId(ctx, args['job-id'], root);
  if (filterName !== undefined) refuseBadName(ctx, filterName);
  refuseBadJobId(ctx, id);
  const speed = checkedSpeed(ctx, id, args['speed']);
  const common = {
    id,
    speed,
    autoFinalize: args['auto-finalize'] !== false,
    autoDismiss: args['auto-dismiss'] !== false,
  };
  if (isActive || hasWriter) {
    const baseWasReadOnly = makeWritable(ctx, base.name);
    startMirror(ctx, {
      ...common,
      source: top.name,
      target: base.name,
      sync: 'full',
      replaces: undefined,
      filterName,
      granularity: GRANULARITY_BYTES,
      writeBlocking: false,
      commit: true,
      baseWasReadOnly,
      opensTarget: false,
      zeroesTarget: false,
      backing: undefined,
      onTargetError: String(args['on-error'] ?? 'report'),
      onSourceError: String(args['on-error'] ?? 'report'),
    });
    return {};
  }
  const overlay = chain(ctx, root.name).find(node => below(node) === top.name);
  if (overlay === undefined) refuse(`'${top.name}' is not in this backing file chain`);
  refuseIfBlocked(ctx, overlay, 'commitTarget');
  const backingFile = typeof args['backing-file'] === 'string' ? args['backing-file'] : undefined;
  startCommit(ctx, { ...common, root, overlay, top, base, backingFile, filterName });
  return {};
}

function rootForCommit(ctx: Context, device: string): BlockNode {
  const known =
    ctx.q.nodes.get(device) !== undefined ||
    (device !== '' && [...ctx.q.backends.values()].some(backend => backend.name === device));
  if (!known) refuse(`Device '${device}' not found`, 'DeviceNotFound');
  const node = lookupNode(ctx, device, device);
  refuseUnlessRoot(node);
  return node;
}

function topNode(ctx: Context, args: Arguments, root: BlockNode): BlockNode {
  if (args['top-node'] !== undefined && args['top'] !== undefined) {
    refuse("'top-node' and 'top' are mutually exclusive");
  }
  if (typeof args['top-node'] === 'string') {
    const name = args['top-node'];
    const node = lookupNode(ctx, undefined, name);
    if (!chain(ctx, root.name).some(one => one.name === node.name))
      refuse(`'${name}' is not in this backing file chain`);
    return node;
  }
  if (typeof args['top'] === 'string') {
    const file = args['top'];
    return (
      chain(ctx, root.name).find(node => fileName(ctx, node) === file || pathOf(ctx.q, node.name) === file) ??
      refuse(`Top image file ${file} not found`)
    );
  }
  return root;
}

function baseNode(ctx: Context, args: Arguments, top: BlockNode): BlockNode {
  if (args['base-node'] !== undefined && args['base'] !== undefined) {
    refuse("'base-node' and 'base' are mutually exclusive");
  }
  const under = chain(ctx, top.name);
  if (typeof args['base-node'] === 'string') {
    const name = args['base-node'];
    const node = lookupNode(ctx, undefined, name);
    if (!under.some(one => one.name === node.name)) refuse(`'${name}' is not in this backing file chain`);
    return node;
  }
  if (typeof args['base'] === 'string') {
    const file = args['base'];
    return (
      under.slice(1).find(node => fileName(ctx, node) === file || pathOf(ctx.q, node.name) === file) ??
      refuse(`Can't find '${file}' in the backing chain`)
    );
  }
  return under.at(-1) ?? top;
}
