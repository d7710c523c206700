/**
 * Dirty bitmaps of the images that leave a disk's chain go along into the image that it ends on, so that a chain of
 * incremental backups survives. What each is to get is looked at right before the pause; it is sent in the pause, in the
 * same write as the end of the mirrors, when both sides hold the same and nothing is written. A bitmap that QEMU refuses
 * costs no disk its switch: what did not come along is told in the end.
 */
import { bitmapsToCarry, type CarriedBitmap, namedBitmaps } from '../../guest/bitmaps.ts';
import { listNodes } from '../../guest/graph.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import { valueIfKnown } from '../../qmp/reply-values.ts';
import type { BlockDeviceInfo } from '../../qmp/schema.generated.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';

/**
 * Sends what is to be carried; with the first attempt nothing is asked before, so that it goes out with what its caller
 * sends next. A later attempt looks again: a bitmap that an earlier one has made there is only added to.
 */
export async function carryBitmaps(context: StepContext<SwitchPlan>): Promise<void> {
  const { qmp, plan, nothingSentYet } = context;
  const planned = nothingSentYet ? carriedIn(context.outcomes) : await lookAgain(context);
  if (planned.length === 0) return;
  const [all] = await qmp.pipeline([transaction(plan, planned)]);
  if (all.ok) return;
  // What a third party has changed since the look must not cost the other bitmaps their way.
  const each = (await lookAgain(context)).map(bitmap => transaction(plan, [bitmap]));
  await qmp.pipeline(each);
}

/**
 * Takes back what was put into an image that was there before and stays. In one of the disk's own chain it stays: it says
 * no less than what has changed there.
 */
export async function uncarryBitmaps(context: StepContext<SwitchPlan>): Promise<void> {
  const { qmp, plan, outcomes } = context;
  if (plan.operation !== 'copy') return;
  const made = carriedIn(outcomes).filter(({ index, isThere }) => !isThere && isReused(plan.disks, index));
  if (made.length === 0) return;
  const byName = new Map((await nodesOf(context)).map(node => [node['node-name'] ?? '', node]));
  const there = made.flatMap(({ index, name }) => {
    const disk = plan.disks.find(each => each.index === index);
    const isLeft = namedBitmaps(byName.get(disk?.goal ?? '')).some(bitmap => bitmap.name === name);
    return disk !== undefined && isLeft ? [{ disk, name }] : [];
  });
  throwFirst(
    there.map(({ disk }) => disk),
    await qmp.pipeline(
      there.map(
        ({ disk, name }) =>
          ({ execute: 'block-dirty-bitmap-remove', arguments: { node: disk.goal, name } }) as const,
      ),
    ),
  );
}

function isReused(disks: readonly DiskPlan[], index: number): boolean {
  return disks.find(disk => disk.index === index)?.image.create === false;
}

async function lookAgain(context: StepContext<SwitchPlan>): Promise<readonly CarriedBitmap[]> {
  return bitmapsToCarry(context.plan, await nodesOf(context));
}

async function nodesOf({ qmp }: Pick<StepContext, 'qmp'>): Promise<readonly BlockDeviceInfo[]> {
  const [nodes] = await qmp.pipeline([listNodes(qmp)]);
  return valueIfKnown(nodes) ?? [];
}

/** What was seen right before the pause. */
function carriedIn(outcomes: StepContext['outcomes']): readonly CarriedBitmap[] {
  const seen = outcomes.get('awaitConvergence') as
    | { readonly bitmaps?: readonly CarriedBitmap[] }
    | null
    | undefined;
  return seen?.bitmaps ?? [];
}

function transaction({ disks }: SwitchPlan, bitmaps: readonly CarriedBitmap[]): Command<'transaction'> {
  const actions = bitmaps.flatMap(({ index, name, granularity, persistent, recording, from, isThere }) => {
    const node = disks.find(disk => disk.index === index)?.goal ?? '';
    const merge = {
      type: 'block-dirty-bitmap-merge' as const,
      data: { node, target: name, bitmaps: from.map(below => ({ node: below, name })) },
    };
    if (isThere) return [merge];
    const data = { node, name, granularity, persistent, disabled: !recording };
    return [{ type: 'block-dirty-bitmap-add' as const, data }, merge];
  });
  return { execute: 'transaction', arguments: { actions } };
}
