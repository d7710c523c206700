/**
 * A finalized pull names the new backing image at once, but what was pulled is in the image only when its tables are: QEMU
 * writes those with a flush (seen on 7.2, 10.0, 11.1), and loses it all when it is killed before one. No QMP command flushes a
 * node by that name. It ends no job.
 */
import { BlocksagaError } from '../../errors.ts';
import { groupName } from '../../plan/names.ts';
import type { DiskPlan, RewritePlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';
import { rewriteOf } from './rewrite-of.ts';

/** Throws what was refused first, and VERIFY_FAILED. */
export function flushPulled(context: StepContext<RewritePlan>, disks: readonly DiskPlan[]): Promise<void> {
  return context.plan.withoutGuest ? flushByReopen(context, disks) : flushByMonitor(context, disks);
}

/** Where that fails, qemu-io tells QEMU's standard output; the monitor hears only that there is no such node. */
async function flushByMonitor(
  { qmp, plan }: StepContext<RewritePlan>,
  disks: readonly DiskPlan[],
): Promise<void> {
  const replies = await qmp.pipeline(
    disks.map(disk => ({
      execute: 'human-monitor-command' as const,
      arguments: {
        'command-line': `qemu-io ${disk.identifiedBy ? disk.node : rewriteOf(plan, disk).top} flush`,
      },
    })),
  );
  throwFirst(disks, replies);
  for (const [at, reply] of replies.entries()) {
    if (!reply.ok || reply.value === '') continue;
    const { disk = '' } = disks[at] ?? {};
    throw new BlocksagaError(
      'VERIFY_FAILED',
      `disk ${disk}: what was pulled could not be flushed: ${reply.value.trim()}`,
      { disk, effect: 'notApplied' },
    );
  }
}

/**
 * A storage daemon has no such command, but flushes what it reopens before it does (`bdrv_reopen_prepare`, block.c): a filter of the
 * saga's own above each image, which nothing else is on, is reopened as it is, and goes again. A read-only one would flush nothing.
 */
async function flushByReopen(
  { qmp, plan, nothingSentYet }: StepContext<RewritePlan>,
  disks: readonly DiskPlan[],
): Promise<void> {
  const options = disks.map(disk => ({
    driver: 'throttle' as const,
    'node-name': disk.names.filter,
    'throttle-group': groupName(plan.token),
    file: rewriteOf(plan, disk).top,
  }));
  const close = disks.map(
    ({ names }): Command => ({ execute: 'blockdev-del', arguments: { 'node-name': names.filter } }),
  );
  // One that an earlier attempt has left; where there is none that is refused.
  if (!nothingSentYet) await qmp.pipeline(close);
  const [, ...replies] = await qmp.pipeline([
    // The saga's mark, which a third party may have taken away; one that is there is refused.
    { execute: 'object-add', arguments: { 'qom-type': 'throttle-group', id: groupName(plan.token) } },
    ...options.map((filter): Command => ({ execute: 'blockdev-add', arguments: filter })),
    { execute: 'blockdev-reopen', arguments: { options } },
    ...close,
  ]);
  const [added, [reopened], closed] = [
    replies.slice(0, disks.length),
    replies.slice(disks.length, disks.length + 1),
    replies.slice(disks.length + 1),
  ];
  throwFirst(disks, added);
  if (reopened?.ok === false) throw reopened.error;
  throwFirst(disks, closed);
}
