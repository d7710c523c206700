/** The order in which QEMU tells the members of a dictionary of options (tdb_hash() and qdict_first() in qobject/qdict.c). */

import type { Arguments } from '../state/arguments.ts';

const BUCKETS = 512;

export function inHashOrder(options: Arguments): Arguments {
  return Object.fromEntries(Object.entries(options).toSorted(([a], [b]) => bucketOf(a) - bucketOf(b)));
}

function bucketOf(name: string): number {
  let value = Math.imul(0x238f13af, name.length);
  for (let i = 0; i < name.length; i += 1) value = (value + (name.charCodeAt(i) << ((i * 5) % 24))) | 0;
  return ((Math.imul(1_103_515_243, value) + 12_345) >>> 0) % BUCKETS;
}
