/**
 * Waits, with the guest running, until the mirrors are so close that a pause is worth it, and their targets answer: what hangs is
 * never entered with the guest paused. It changes nothing.
 */
import { BlocksagaError } from '../../errors.ts';
import { bitmapsToCarry } from '../../guest/bitmaps.ts';
import { hasFilter } from '../../plan/filters.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import { hasOwnChain } from '../prepare/stand-on-chains.ts';
import { barrierOf } from '../step/barrier.ts';
import { readLag } from '../step/mirror-lag.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { unanswering } from '../step/targets-answer.ts';
import { awaitDirty, SETTLE_SHARE } from './await-clean.ts';
import { keepsCopies } from './await-signal.ts';
import { meetBesideMirrors } from './meet-beside-mirrors.ts';
import { inspectMirrors } from './mirror-disks.ts';

/** What a slow disk copies in a millisecond; decides what counts as little. */
const BYTES_PER_MS = 16 * 1024;
/** QEMU's granularity where none is asked for, and the largest that it takes of itself (`bdrv_get_default_bitmap_granularity`). */
const GRANULE_BYTES = 64 * 1024;
/** More than a guest writes between that look and the `stop`; where the pause has no time for it, mirrors must be kept that it made dirty. */
const BURST_BYTES = 4 * 1024 * 1024;
const APPROACH_DEADLINE_MS = 60 * 60_000;
const APPROACH_POLL_MS = 100;
const REST_POLL_MS = 1_000;
/** A target that answers a flush in no more than this is not waited for, however short the permitted blackout is. */
const ANSWER_LEAST_MS = 200;
const ANSWER_TRUSTED_MS = 1_000;
const ANSWER_DEADLINE_MS = 10 * 60_000;
/** How long a guest that was paused in vain is let alone before the next pause: twice as long each time, up to a bound. */
const REST_FIRST_MS = 250;
const REST_MAX_MS = 30_000;

export const awaitConvergence: Step<SwitchPlan> = {
  name: 'awaitConvergence',
  irreversible: 'only waits',

  async probe({ plan }) {
    return probeDisks(plan.disks, () => 'absent');
  },

  async do(context) {
    const { plan } = context;
    const isFrozen = plan.operation === 'copy' && plan.quiesce !== undefined;
    if (isFrozen && context.round > FROZEN_ROUNDS) throw notWhileFrozen();
    if (context.round > 1 && !isFrozen) await rest(context);
    const { disks, maxBlackoutMs } = plan;
    const granuleBytes = plan.operation === 'copy' ? plan.mirror.granularity : null;
    // One granule of each disk is dirty whenever the guest writes there at all: less cannot be waited for.
    const granulesBytes = disks.length * (granuleBytes ?? GRANULE_BYTES);
    const settlingBytes = maxBlackoutMs * SETTLE_SHARE * BYTES_PER_MS;
    const limitBytes = Math.max(granulesBytes, settlingBytes);
    const approach = () =>
      awaitDirty(
        ...([context, disks, limitBytes] as const),
        { deadlineMs: isFrozen ? FROZEN_MS : APPROACH_DEADLINE_MS, pollMs: APPROACH_POLL_MS },
        { signal: context.signals.abort },
      );
    for (;;) {
      await awaitAnswers(context, isFrozen ? FROZEN_MS : ANSWER_DEADLINE_MS);
      const askedMs = context.clock.now();
      const { bytes, isOnSources, nodes } = await approach();
      // What was answered longer ago may hang by now.
      const isTrusted =
        context.files?.answers === undefined || context.clock.now() - askedMs <= ANSWER_TRUSTED_MS;
      if (!isTrusted) continue;
      const bitmaps = bitmapsToCarry(plan, nodes); // looked at here, so that nothing is asked for them in the pause
      if (plan.group === undefined) {
        if (bitmaps.length > 0) return { isOnSources, bitmaps };
        const isLittle = bytes <= granulesBytes && BURST_BYTES <= settlingBytes;
        return { isOnSources, endsAtOnce: isLittle && mayEndAtOnce(context) };
      }
      await meetBesideMirrors(context, barrierOf(context).converged());
      // What it was waited for may have taken long.
      const last = await readLag(context, disks);
      return { isOnSources: last.isOnSources, bitmaps: bitmapsToCarry(plan, last.nodes) };
    }
  },
};

/** A guest whose file systems are frozen does not wait for long: its programs stand. */
const FROZEN_MS = 10_000;
const FROZEN_ROUNDS = 3;

function notWhileFrozen(): BlocksagaError {
  return new BlocksagaError(
    'NOT_CONVERGING',
    `the mirrors did not come to rest in ${FROZEN_ROUNDS} pauses while the guest's file systems were frozen: try again in a quieter hour, or without quiesce`,
  );
}

/**
 * Whether the mirrors may be ended right behind the `stop`, whatever the guest has written since: no more is left to copy than what a guest
 * that writes always leaves, and what the pause begins with can be taken back with the guest running.
 */
function mayEndAtOnce(context: StepContext<SwitchPlan>): boolean {
  const { plan, outcomes } = context;
  return (
    plan.strategy === 'reopen' &&
    plan.disks.every(disk => hasFilter(disk) && !hasOwnChain(disk)) && // a chain is attached first
    !keepsCopies(plan, outcomes) &&
    context.speed() === 0
  );
}

/** Waits until the storage behind each target answers a flush in so little time that it fits into the pause. */
async function awaitAnswers(context: StepContext<SwitchPlan>, deadlineMs: number): Promise<void> {
  const { plan, qmp, signals } = context;
  const withinMs = Math.max(ANSWER_LEAST_MS, plan.maxBlackoutMs * SETTLE_SHARE);
  let silent: readonly DiskPlan[] = [];
  try {
    await qmp.until(
      'the targets to answer',
      async () => {
        silent = await unanswering(context, plan.disks, withinMs);
        if (silent.length === 0) return true;
        await inspectMirrors(context);
        return undefined;
      },
      { wakeOn: [], deadlineMs, pollMs: REST_POLL_MS, signal: signals.abort },
    );
  } catch (error) {
    const [first] = silent;
    if (!(error instanceof BlocksagaError) || error.code !== 'DEADLINE' || first === undefined) throw error;
    throw new BlocksagaError(
      'NOT_CONVERGING',
      `disk ${first.disk}: ${first.image.file} did not answer a flush within ${withinMs} ms for ${deadlineMs / 1_000} ` +
        'seconds, and the guest would be paused for as long: see to its server or file system, then try again',
      { disk: first.disk },
    );
  }
}

/** How long the guest is let alone before a round, from the second on. */
export function restBefore(round: number): number {
  return Math.min(REST_MAX_MS, REST_FIRST_MS * 2 ** (round - 2));
}

/** Waits a while with the guest running; ends early when a mirror ends or the saga is asked to roll back. */
async function rest(context: StepContext<SwitchPlan>): Promise<void> {
  const { clock, qmp, round, signals } = context;
  const restMs = restBefore(round);
  const untilMs = clock.now() + restMs;
  await qmp.until(
    'the guest to have had its time',
    async () => {
      await inspectMirrors(context);
      return clock.now() >= untilMs ? true : undefined;
    },
    {
      wakeOn: ['BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED'],
      deadlineMs: restMs + APPROACH_DEADLINE_MS,
      pollMs: Math.min(restMs, REST_POLL_MS),
      signal: signals.abort,
    },
  );
}
