/**
 * Waits for a word from outside at READY, and watches the mirrors meanwhile: one that ends by itself ends the wait. What the word
 * means is its caller's.
 */
import { BlocksagaError } from '../../errors.ts';
import { expectPlugged } from '../../guest/unplugged.ts';
import type { SwitchPlan } from '../../plan/plan.ts';
import type { StepContext } from '../step/step.ts';
import { inspectMirrors } from './mirror-disks.ts';

const WORD_DEADLINE_MS = 366 * 24 * 60 * 60_000;
const POLL_MS = 2_000;

/** Resolves when `signal` aborts. Throws for a mirror that has ended, and for a disk that has left the guest. */
export async function watchMirrors(
  context: StepContext<SwitchPlan>,
  what: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await context.qmp.until(
      what,
      async () => {
        await inspectMirrors(context);
        await expectPlugged(context);
        return undefined;
      },
      {
        wakeOn: ['JOB_STATUS_CHANGE', 'BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED', 'DEVICE_DELETED'],
        deadlineMs: WORD_DEADLINE_MS,
        pollMs: POLL_MS,
        signal,
      },
    );
  } catch (error) {
    const isWord = error instanceof BlocksagaError && (error.code === 'ABORTED' || error === signal.reason);
    if (!signal.aborted || !isWord) throw error;
  }
}
