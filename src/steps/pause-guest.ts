/**
 * Stops the guest for the switch, and lets it run again. A guest that its administrator had paused, or that stands
 * still for a reason of its own, is neither stopped nor started.
 */
import { BlocksagaError } from '../errors.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { StatusInfo } from '../qmp/schema.generated.ts';
import type { Json } from '../qmp/transport.ts';
import { expectNames } from './expect-names.ts';
import { FRONT_LOOK, isClean } from './mirror-lag.ts';
import { probeDisks, type Step, type StepContext } from './step.ts';

/** How often `cont` is sent before that is a failure. */
const CONT_TRIES_MAX = 3;

const PAUSE = [{ execute: 'query-status' }, { execute: 'stop' }] as const;

/** Whether it was the saga that stopped the guest; only then does the saga let it run again. */
interface Paused {
  readonly [key: string]: Json;
  readonly byUs: boolean;
  /** Whether every mirror was ready, with nothing left to copy, in the look right behind `stop`. */
  readonly clean: boolean;
}

export const pauseGuest: Step = {
  name: 'pauseGuest',
  window: 'opens',

  async observe(context) {
    const { qmp, plan } = context;
    await expectNames(context, plan.operation === 'snapshot' ? 'claimed' : 'opened');
    const { running } = await qmp.execute('query-status');
    return { byUs: running };
  },

  async probe({ qmp, plan, observed }) {
    const { running } = await qmp.execute('query-status');
    return probeDisks(plan.disks, () => (running && wasPausedByUs(observed) ? 'absent' : 'present'));
  },

  async do({ qmp, plan, observed, outcomes }): Promise<Paused> {
    if (plan.operation === 'revert') return expectStopped(qmp);
    if (!wasPausedByUs(observed)) return { byUs: false, clean: false };
    // The mirrors are looked at in the same write: with nothing left to copy the switch can go on at once.
    const looks = frontsTell(outcomes.get('awaitNearlyClean') ?? null) ? FRONT_LOOK : [];
    const [before, stopped, jobs, blocks] = await qmp.pipeline([...PAUSE, ...looks]);
    if (!before.ok) throw before.error;
    if (!stopped.ok) throw stopped.error;
    const clean = jobs !== undefined && blocks !== undefined && isClean(plan.disks, jobs, blocks);
    return { byUs: before.value.running, clean };
  },

  async adopt({ observed }) {
    return observed;
  },

  async undo({ qmp, observed }, outcome) {
    if (wasPausedByUs(outcome ?? observed)) await letRun(qmp);
  },
};

export const resumeGuest: Step = {
  name: 'resumeGuest',
  window: 'closes',
  irreversible: 'the guest may have written by now',

  async probe({ qmp, plan, outcomes }) {
    const { running } = await qmp.execute('query-status');
    return probeDisks(plan.disks, () => (running || !isPausedByUs(outcomes) ? 'present' : 'absent'));
  },

  async do({ qmp, outcomes }) {
    if (isPausedByUs(outcomes)) await letRun(qmp);
    return null;
  },
};

/** By the pause of the switch, or by that in which the rest of a commit was merged. */
function isPausedByUs(outcomes: StepContext['outcomes']): boolean {
  return (
    wasPausedByUs(outcomes.get('mergeRest') ?? null) || wasPausedByUs(outcomes.get('pauseGuest') ?? null)
  );
}

/** Whether the guest is to run when all is back, also if this process dies while it is paused. */
export async function observeRunning({ qmp }: StepContext): Promise<Json> {
  return (await qmp.execute('query-status')).running;
}

/** A revert never stops a guest that runs: what it holds in memory does not fit the older disks. */
async function expectStopped(qmp: QmpClient): Promise<Paused> {
  const { running } = await qmp.execute('query-status');
  if (!running) return { byUs: false, clean: false };
  throw new BlocksagaError(
    'GUEST_RUNS',
    'somebody has let the guest run since this was planned: stop it, then revert',
  );
}

/** Whether a step that pauses the guest came to this: it was the saga that stopped the guest. */
export function wasPausedByUs(record: Json): boolean {
  return typeof record === 'object' && record !== null && 'byUs' in record && record.byUs === true;
}

/** What `awaitNearlyClean` came to: whether the front nodes say how far the mirrors are behind. */
function frontsTell(record: Json): boolean {
  return (
    typeof record === 'object' && record !== null && 'isOnSources' in record && record.isOnSources === true
  );
}

/** Whether the look behind `stop` found nothing left to copy: then the next step need not ask again. */
export function wasClean(record: Json): boolean {
  return typeof record === 'object' && record !== null && 'clean' in record && record.clean === true;
}

/**
 * Sends `cont` and asks whether the guest still stands still because of us: a reply alone would also come from a guest
 * that has shut down, and one that has shut down or crashed refuses `cont` for a reason of its own. What QEMU refuses is
 * asked again at once, since a guest waits for it.
 */
export async function letRun(qmp: QmpClient): Promise<void> {
  for (let triesLeft = CONT_TRIES_MAX; ; triesLeft -= 1) {
    const [resumed, after] = await qmp.pipeline([{ execute: 'cont' }, { execute: 'query-status' }]);
    if (!after.ok) throw after.error;
    if (after.value.running || !STOPPED_BY_COMMAND.has(after.value.status)) return;
    if (triesLeft > 1) continue;
    throw resumed.ok ? stillStands(after.value) : resumed.error;
  }
}

function stillStands({ status }: StatusInfo): BlocksagaError {
  return new BlocksagaError('VERIFY_FAILED', `the guest does not run after cont: its state is "${status}"`, {
    outcome: 'notApplied',
    retryable: true,
  });
}

/** The states (`RunState`, qapi/run-state.json) in which `stop` leaves a guest. */
const STOPPED_BY_COMMAND: ReadonlySet<string> = new Set(['paused', 'prelaunch']);
