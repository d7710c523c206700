/**
 * query-blockstats: of each device what its guest has written, and of each node, where these are asked for, how far it was written to
 * (bdrv_query_blk_stats() and bdrv_query_bds_stats(), block/qapi.c). All else that QEMU counts is nothing here.
 */

import type { Json } from '../../qmp/transport.ts';
import type { Arguments } from '../state/arguments.ts';
import type { Context } from '../state/context.ts';
import { since } from '../state/later-members.ts';

const KINDS = ['rd', 'wr', 'flush', 'unmap'] as const;

/** What QEMU counts, all of which simulated versions have. */
const NOTHING: { readonly [member: string]: Json } = Object.fromEntries(
  KINDS.flatMap(kind => [
    ...(kind === 'flush'
      ? []
      : [
          [`${kind}_bytes`, 0],
          [`${kind}_merged`, 0],
        ]),
    ...[`${kind}_operations`, `${kind}_total_time_ns`].map(name => [name, 0]),
    ...[`failed_${kind}_operations`, `invalid_${kind}_operations`].map(name => [name, 0]),
  ]),
);

const SETTINGS = { account_invalid: true, account_failed: true, timed_stats: [] } as const;

export function queryBlockstats(ctx: Context, { 'query-nodes': ofNodes }: Arguments): Json {
  return ofNodes === true ? statsOfNodes(ctx) : statsOfDevices(ctx);
}

function statsOfNodes(ctx: Context): Json {
  return [...ctx.q.nodes.values()].map(({ name, serial }) => ({
    'node-name': name,
    stats: { ...NOTHING, ...SETTINGS, wr_highest_offset: ctx.highest.get(serial) ?? 0 },
  }));
}

function statsOfDevices(ctx: Context): Json {
  return [...ctx.q.backends.values()].map(backend => ({
    device: backend.name,
    ...(since(ctx.profile, 2, 10) ? { qdev: backend.id } : {}),
    ...(backend.node === undefined ? {} : { 'node-name': backend.node }),
    stats: {
      ...NOTHING,
      ...SETTINGS,
      wr_operations: ctx.writesTo(backend.id),
      wr_highest_offset: 0,
    },
  }));
}
