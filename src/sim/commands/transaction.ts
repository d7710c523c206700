/**
 * `transaction`: the actions run in order, the first refusal ends it, and those before it are undone one by one, with
 * what QEMU forgets in doing so (blockdev.c of 7.2: qmp_transaction()).
 */

import type { Json } from '../../qmp/transport.ts';
import { patchNode } from '../graph/graph.ts';
import type { Arguments } from '../state/arguments.ts';
import type { Context } from '../state/context.ts';
import { Refusal, refuse } from '../state/refusal.ts';
import type { Qemu } from '../state/state.ts';
import { prepareBackup } from './backup-commands.ts';
import { bitmapActions } from './bitmap-commands.ts';
import { snapshot, snapshotSync, type Taken } from './snapshot-commands.ts';

type Action = (ctx: Context, data: Arguments, group?: string) => Taken | undefined;

/** The one that can be grouped. */
const BACKUP = 'blockdev-backup';

const ACTIONS: Readonly<Record<string, Action>> = {
  abort: () => refuse('Transaction aborted using Abort action'),
  'blockdev-snapshot': snapshot,
  'blockdev-snapshot-sync': snapshotSync,
  [BACKUP]: prepareBackup,
  ...bitmapActions,
};

/** A refusal is returned, not thrown, where something of the actions before it stays. */
export function transaction(ctx: Context, args: Arguments): Json | Refusal {
  const actions = args['actions'] as readonly { readonly type: string; readonly data: Arguments }[];
  const properties = args['properties'] as Arguments | undefined;
  const isModern = ctx.profile.version.major >= 10;
  const isGrouped = properties?.['completion-mode'] === 'grouped';
  const group = isGrouped ? `group${ctx.q.serial++}` : undefined;
  const refuseGrouped = ({ type }: { readonly type: string }): void => {
    const word = isModern ? 'transaction' : 'Transaction';
    if (isGrouped && type !== BACKUP && (isModern || type !== 'abort'))
      refuse(`Action '${type}' does not support ${word} property completion-mode = grouped`);
  };
  if (isModern) actions.forEach(refuseGrouped);
  const { nodes } = ctx.q;
  const taken: Taken[] = [];
  for (const { type, data } of actions) {
    const run: Action = ACTIONS[type] ?? refuse(`the simulator knows no transaction action ${type}`);
    const before = taken.length === 0 ? undefined : graphOf(ctx.q);
    try {
      refuseGrouped({ type });
      const one = run(ctx, data, group);
      if (one !== undefined) taken.push(one);
    } catch (refusal) {
      for (const one of taken.toReversed()) one.withdraw?.();
      const forgets = taken.some(({ hadUsers }) => hadUsers);
      if (!(refusal instanceof Refusal) || before === undefined || !forgets) throw refusal;
      Object.assign(ctx.q, before);
      for (const { abort } of taken.toReversed()) abort();
      for (const { name, bitmaps } of nodes.values()) patchNode(ctx, name, { bitmaps });
      return refusal;
    }
  }
  for (const { commit } of isModern ? taken.toReversed() : taken) commit();
  return {};
}

/** What an action may change, to be put back when it fails halfway. */
function graphOf({ nodes, backends, exports }: Qemu): Pick<Qemu, 'nodes' | 'backends' | 'exports'> {
  return { nodes: new Map(nodes), backends: new Map(backends), exports: new Map(exports) };
}
