/** Gives a device another node, as only a stopped guest's may be given. */

import type { DiskPlan } from '../plan/plan.ts';
import type { Command } from '../qmp/client.ts';

export function setDrive(disk: DiskPlan, node: string): Command<'qom-set'> {
  return { execute: 'qom-set', arguments: { path: disk.qdev ?? '', property: 'drive', value: node } };
}
