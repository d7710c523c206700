/** query-blockstats: of each device what its guest has written; all else that QEMU counts is nothing here (bdrv_query_blk_stats(), block/qapi.c). */

import type { Json } from '../../qmp/transport.ts';
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

export function queryBlockstats(ctx: Context): Json {
  return [...ctx.q.backends.values()].map(backend => ({
    device: backend.name,
    ...(since(ctx.profile, 2, 10) ? { qdev: backend.id } : {}),
    ...(backend.node === undefined ? {} : { 'node-name': backend.node }),
    stats: {
      ...NOTHING,
      wr_operations: ctx.writesTo(backend.id),
      wr_highest_offset: 0,
      account_invalid: true,
      account_failed: true,
      timed_stats: [],
    },
  }));
}
