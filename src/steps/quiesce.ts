/**
 * Freezes the guest's file systems through its agent and thaws them. Thawing is tried also when freezing reported a
 * failure: an agent may have frozen some of them.
 */
import { openGuestAgent } from '../qmp/guest-agent.ts';
import type { SnapshotPlan } from './plan.ts';
import { probeDisks, type Step, type StepContext } from './step.ts';

const FREEZE_DEADLINE_MS = 20_000;
const THAW_DEADLINE_MS = 20_000;

export const freezeGuest: Step<SnapshotPlan> = {
  name: 'freezeGuest',

  async probe({ plan }) {
    return probeDisks(plan.disks, () => 'absent');
  },

  async do(context) {
    return { frozen: await withAgent(context, agent => agent.freeze(FREEZE_DEADLINE_MS)) };
  },

  undo: thaw,
};

export const thawGuest: Step<SnapshotPlan> = {
  name: 'thawGuest',
  irreversible: 'the guest may have written by now',

  async probe({ plan }) {
    return probeDisks(plan.disks, () => 'absent');
  },

  async do(context) {
    await thaw(context);
    return null;
  },
};

async function thaw(context: StepContext<SnapshotPlan>): Promise<void> {
  await withAgent(context, agent => agent.thaw(THAW_DEADLINE_MS));
}

async function withAgent<T>(
  { plan, clock }: StepContext<SnapshotPlan>,
  use: (agent: Awaited<ReturnType<typeof openGuestAgent>>) => Promise<T>,
): Promise<T> {
  const agent = await openGuestAgent(plan.quiesce ?? '', { clock });
  try {
    return await use(agent);
  } finally {
    agent.close();
  }
}
