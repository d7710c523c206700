/**
 * Runs the sagas of one engine: gives each what it works with besides its plan, lists it while it runs, renews the leases of
 * all, and has old ones forgotten. Neither plans nor takes leases.
 */
import { frozen } from '../plan/frozen.ts';
import type { Barrier } from '../steps/step/barrier.ts';
import type { EngineOptions } from './api.ts';
import { agentOf, type Guest, monitorOf } from './connection/guest.ts';
import type { Monitor } from './connection/monitor.ts';
import { publisherOf } from './connection/publish.ts';
import { lateBarrier } from './durable/group-register.ts';
import { Forgetting } from './forgetting.ts';
import { LeaseRenewal, type Renewed } from './lease-renewal.ts';
import { Limits } from './limits.ts';
import { type RunningSaga, runSaga, type SagaParts } from './running/saga.ts';
import type { Saga } from './running/saga-types.ts';
import type { Submissions } from './submissions.ts';
import { type Telemetry, telemetryOf } from './telemetry.ts';

type RunsParts = Omit<EngineOptions, 'clock' | 'ids'> & Pick<SagaParts, 'clock'>;

type RunParts = Pick<SagaParts, 'lease' | 'plan' | 'files' | 'monitor' | 'metadata'> & {
  readonly guest: Guest;
  /** Where this process is the one in which the members of its group meet. */
  readonly barrier?: Barrier;
};

/** The host of guests whose requests name none. */
const HERE = 'this machine';

export class Runs {
  readonly #parts: RunsParts;
  readonly #submissions: Submissions;
  readonly #renewal: LeaseRenewal;
  readonly #forgetting: Forgetting;
  readonly #limits: Limits | undefined;
  readonly #telemetry: Telemetry | undefined;

  /** `others`: what else runs with a lease of this engine. */
  constructor(parts: RunsParts, submissions: Submissions, others: () => readonly Renewed[]) {
    this.#parts = parts;
    this.#submissions = submissions;
    this.#renewal = new LeaseRenewal(parts.journal, parts.clock, () => [...submissions.all, ...others()]);
    this.#limits = parts.limits === undefined ? undefined : new Limits(parts.limits);
    this.#telemetry = telemetryOf(parts, parts.clock);
    this.#forgetting = new Forgetting(parts.journal, parts.clock, () => submissions.all);
  }

  /** What runs besides sagas is another than before. */
  changed(): void {
    this.#renewal.changed();
  }

  /** The engine is closed: what may be forgotten is left to the next. */
  stop(): void {
    this.#forgetting.stop();
  }

  /** A monitor of the guest, for the saga of this id. */
  monitorOf(saga: string, guest: Guest): Monitor {
    const { clock } = this.#parts;
    return monitorOf(guest, clock, connect => this.#telemetry?.connect(saga, connect) ?? connect);
  }

  run({ lease, guest, monitor, files, barrier, ...given }: RunParts): Saga {
    // They are handed out to all who listen.
    const [plan, metadata] = [frozen(given.plan), frozen(given.metadata)];
    const { journal, clock, inspect, trace, onCommit, onListenerError, askLeader } = this.#parts;
    const { group } = plan;
    const late = group === undefined ? null : lateBarrier(journal, clock, group.id, askLeader);
    const named = { ...lease, id: lease.saga, operation: plan.operation, metadata };
    const runs = (saga: RunningSaga) => {
      this.#submissions.runs(saga, guest.qmp);
      this.#renewal.changed();
      this.#forgetting.changed();
    };
    const saga = runSaga({
      ...{ journal, clock, lease, plan, files, monitor, metadata, inspect, trace, onListenerError },
      retried: this.#telemetry && (step => this.#telemetry?.retried(lease.saga, step)),
      quota: this.#limits?.of({ saga: lease.saga, host: guest.host ?? HERE, isHere: files !== null }),
      ...{ barrier: barrier ?? late, lateBarrier: late },
      openAgent: monitor.held.watchAgent(agentOf(guest, clock)),
      publish: publisherOf(named, plan.onCommit, onCommit, clock, onListenerError),
      onEnd: ended => {
        this.#submissions.ended(ended);
        this.#limits?.forget(ended.id);
        this.#renewal.changed();
        this.#forgetting.changed();
      },
      onAgain: runs,
    });
    runs(saga);
    this.#telemetry?.follow(saga);
    return saga;
  }
}
