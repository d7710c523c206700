/** How fast a saga's jobs may copy: as the plan says, or as a later request says. It starts no job and ends none. */
import { BlocksagaError } from '../../errors.ts';
import { jobsOfPlan } from '../../guest/jobs-of-plan.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { isVerbAllowed } from '../../qmp/jobs.ts';
import { stagesOf } from '../../steps/stages.ts';
import { Fence } from '../connection/fence.ts';
import type { HostParts } from './host-parts.ts';
import type { Pause } from './pause.ts';

export class Speed {
  readonly #parts: Pick<HostParts, 'plan' | 'monitor' | 'journal' | 'lease' | 'clock' | 'quota'>;
  readonly #pause: Pick<Pause, 'isOpen'>;
  readonly #isEnding: () => boolean;
  #asked: number | null;

  /** `isEnding`: the saga has no jobs to come. */
  constructor(parts: HostParts, pause: Pick<Pause, 'isOpen'>, isEnding: () => boolean) {
    this.#parts = parts;
    this.#pause = pause;
    this.#isEnding = isEnding;
    this.#asked = parts.history.speed;
  }

  /** Whether the guest is paused, so that nothing is limited and nothing waits for the journal. */
  get isStill(): boolean {
    return this.#pause.isOpen;
  }

  /** Bytes per second and disk; 0 is no limit. */
  get bytesPerSecond(): number {
    const { plan } = this.#parts;
    return this.#asked ?? ('speed' in plan ? plan.speed : 0);
  }

  /** Of a disk at most its share of what the engine allows. */
  of(disk: DiskPlan | undefined): number {
    const share = disk === undefined ? 0 : (this.#parts.quota?.share(disk) ?? 0);
    const asked = this.bytesPerSecond;
    return share === 0 || asked === 0 ? share + asked : Math.min(share, asked);
  }

  /**
   * Holds for jobs to come, and for those that copy. Throws REQUEST_INVALID for what is no speed, SAGA_STATE when
   * nothing copies any more or the guest is paused, and as QEMU says.
   */
  async set(bytesPerSecond: number): Promise<void> {
    const { plan, lease, monitor } = this.#parts;
    expectSpeed(plan, bytesPerSecond);
    if (this.isStill) throw guestIsPaused(lease.saga);
    const qmp = new Fence(this.#parts).client(await monitor.client());
    const before = this.#asked;
    // First: a job that is started meanwhile has it already, or is seen below.
    this.#asked = bytesPerSecond;
    try {
      await setJobSpeeds(plan, bytesPerSecond, this.#isEnding(), qmp);
    } catch (error) {
      this.#asked = before;
      throw error;
    }
  }
}

/** Throws REQUEST_INVALID for what is no speed, SAGA_STATE for a saga without jobs. */
export function expectSpeed(plan: Plan, bytesPerSecond: number): void {
  if (!Number.isSafeInteger(bytesPerSecond) || bytesPerSecond < 0) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `${bytesPerSecond} is no speed in bytes per second; 0 lifts the limit`,
    );
  }
  if (stagesOf(plan).some(stage => 'speed' in stage.plan)) return;
  throw new BlocksagaError('SAGA_STATE', `a ${plan.operation} copies nothing: there is no speed to set`);
}

/**
 * Sets the speed of the saga's jobs that copy, in one write; `copied`: it has no jobs to come. Throws SAGA_STATE when none does, and as
 * QEMU says.
 */
export async function setJobSpeeds(
  plan: Plan,
  bytesPerSecond: number,
  copied: boolean,
  qmp: QmpClient,
): Promise<void> {
  const jobs = jobsOfPlan(plan, qmp);
  const disks = stagesOf(plan).flatMap(stage => ('speed' in stage.plan ? stage.plan.disks : []));
  const table = await jobs.list(disks.flatMap(({ names }) => [names.fillJob, names.job]));
  const copying = [...table.values()].filter(job => isVerbAllowed('set-speed', job.status));
  if (copying.length === 0 && (copied || disks.every(({ names }) => table.has(names.job)))) {
    const found = [...table.values()].map(job => `${job.id} is ${job.status}`).join(', ');
    throw new BlocksagaError(
      'SAGA_STATE',
      `nothing of this saga copies any more (${found === '' ? 'its jobs are gone' : found}): a speed would have no effect`,
    );
  }
  const replies = await jobs.setSpeed(
    copying.map(job => job.id),
    bytesPerSecond,
  );
  // A job may have come to its end between the two; when all refuse it is something else.
  if (replies.some(reply => reply.ok)) return;
  for (const reply of replies) if (!reply.ok) throw reply.error;
}

/** A limit would hold up what the guest waits for. */
function guestIsPaused(saga: string): BlocksagaError {
  const why = `the guest of saga ${saga} is paused for its switch: ask again when it runs`;
  return new BlocksagaError('SAGA_STATE', why, { saga, retryable: true });
}
