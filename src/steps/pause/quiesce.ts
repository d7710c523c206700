/**
 * Freezes the guest's file systems through its agent and thaws them. Thawing is tried also when freezing reported a
 * failure: an agent may have frozen some of them.
 */
import { BlocksagaError, type ErrorRecord } from '../../errors.ts';
import type { CopyPlan, SnapshotPlan } from '../../plan/plan.ts';
import type { GuestAgent } from '../../qmp/guest-agent.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';

const FREEZE_DEADLINE_MS = 20_000;
const THAW_DEADLINE_MS = 20_000;

/** What is done of a guest at one instant, of which its file systems may be told before. */
type QuiescedPlan = SnapshotPlan | CopyPlan;

export const freezeGuest: Step<QuiescedPlan> = {
  name: 'freezeGuest',
  withoutDevices: true,

  /** Whether a third party has frozen the guest before; that this was asked also says that an agent answers. */
  async observe(context) {
    return withAgent(context, agent => agent.status());
  },

  /** A guest that was thawed before and is frozen now is so by our own, and refuses to be frozen again. */
  async probe(context) {
    const now = await withAgent(context, agent => agent.status());
    const isOurs = now === 'frozen' && context.observed === 'thawed';
    return probeDisks(context.plan.disks, () => (isOurs ? 'present' : 'absent'));
  },

  async adopt() {
    return { frozen: null };
  },

  async do(context) {
    try {
      return { frozen: await withAgent(context, agent => agent.freeze(FREEZE_DEADLINE_MS)) };
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      // Not tried again: a guest that may be frozen in part is thawed first of all.
      throw BlocksagaError.fromRecord({ ...error.toJSON(), retryable: false });
    }
  },

  async undo(context) {
    // No agent answered before the freeze, or a third party had frozen the guest: there is nothing of ours to thaw.
    const wasFrozen = context.observed !== 'thawed';
    if (wasFrozen || wasNeverSent(context.failure)) return;
    // Where the snapshot waits for its mirrors it was thawed long ago; a freeze that came since is a third party's.
    if (!context.outcomes.has('thawGuest')) await thaw(context);
  },
};

export const thawGuest: Step<QuiescedPlan> = {
  name: 'thawGuest',
  withoutDevices: true,
  irreversible: 'the guest may have written by now',

  async probe({ plan }) {
    return probeDisks(plan.disks, () => 'absent');
  },

  async do(context) {
    await thaw(context);
    return null;
  },
};

/** Whether the freeze failed before the agent was told of it; one that the agent refused may have frozen a part. */
function wasNeverSent(failure: ErrorRecord | undefined): boolean {
  if (failure?.effect !== 'notApplied') return false;
  return failure.code === 'QMP_CONNECT' || failure.code === 'QMP_TIMEOUT';
}

/** A guest that has ended has nothing frozen, and no agent that could say so. */
async function thaw(context: StepContext<QuiescedPlan>): Promise<void> {
  try {
    await withAgent(context, agent => agent.thaw(THAW_DEADLINE_MS));
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code === 'VM_BUSY') throw error;
    const { status } = await context.qmp.execute('query-status');
    if (!ENDED.has(status)) throw error;
  }
}

/** The states (`RunState`, qapi/run-state.json) of a guest that only a reset brings back. */
const ENDED: ReadonlySet<string> = new Set(['shutdown', 'guest-panicked']);

async function withAgent<T>(
  { plan, openAgent, expectHeld }: StepContext<QuiescedPlan>,
  use: (agent: GuestAgent) => Promise<T>,
): Promise<T> {
  const agent = await openAgent(plan.quiesce ?? '');
  try {
    expectHeld();
    return await use(agent);
  } finally {
    agent.close();
  }
}
