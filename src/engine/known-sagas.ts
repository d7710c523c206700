/**
 * The handles of sagas that are not begun here: of one that has ended its result, of one that another process runs what can be
 * watched and asked of it, and one that no process runs is resumed where that is wanted.
 */
import { BlocksagaError } from '../errors.ts';
import type { Journal, SagaRow } from '../journal/journal.ts';
import type { Plan } from '../plan/plan.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Engine, EngineOptions } from './api.ts';
import type { Guest } from './connection/guest.ts';
import { refuseGroup } from './durable/group-register.ts';
import type { SignalName } from './durable/signals.ts';
import { watchElsewhere } from './elsewhere.ts';
import { endedHandle } from './followed.ts';
import { planToResume } from './recovery/plan-to-resume.ts';
import type { Saga } from './running/saga-types.ts';

interface KnownParts {
  readonly engine: Pick<Engine, 'resume'>;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly onListenerError: EngineOptions['onListenerError'];
}

export class KnownSagas {
  readonly #parts: KnownParts;

  constructor(parts: KnownParts) {
    this.#parts = parts;
  }

  /** One that no process runs is only looked at. Throws SAGA_STATE for a group. */
  looked(row: SagaRow): Saga {
    refuseGroup(row);
    return row.state === 'open' ? this.#watch(row, {}) : this.ended(row);
  }

  /** The saga of a row, whatever has become of it; one that no process runs is resumed. */
  async saga(row: SagaRow, guest: Guest): Promise<Saga> {
    if (row.state !== 'open') return this.ended(row);
    const resume = () => this.#parts.engine.resume(row.id, guest);
    try {
      return await resume();
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      // The process that had it, or another caller of this one, has come to its end meanwhile.
      const now = this.#parts.journal.saga(row.id);
      if (now !== undefined && now.state !== 'open') return this.ended(now);
      if (error.code !== 'VM_BUSY') throw error;
    }
    return this.#watch(row, guest, resume);
  }

  /** One that no process runs any more. */
  ended(row: SagaRow): Saga {
    return endedHandle(this.#parts, row);
  }

  /** What is needed to ask something of the process that runs it. */
  elsewhere(row: SagaRow, plan: Plan) {
    const { engine, journal, clock, onListenerError } = this.#parts;
    return { engine, journal, clock, row, plan, onListenerError };
  }

  #watch(row: SagaRow, guest: Partial<Guest>, resume?: () => Promise<Saga>): Saga {
    const { engine } = this.#parts;
    const signal = async (name: SignalName) =>
      (await engine.resume(row.id, { ...guest, signal: name })).ended;
    const parts = { ...this.elsewhere(row, planToResume(row)), signal };
    return watchElsewhere(resume === undefined ? parts : { ...parts, resume });
  }
}
