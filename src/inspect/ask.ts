/** What the page's buttons ask of a saga whose process is alive: through the journal, as any other process would. */
import { checkedJournal, planOf } from '../engine/durable/checked-journal.ts';
import { expectAskable } from '../engine/durable/expect-askable.ts';
import { refuseGroup } from '../engine/durable/group-register.ts';
import { SET_SPEED } from '../engine/durable/history.ts';
import { SIGNALS } from '../engine/durable/signals.ts';
import { expectSpeed } from '../engine/durable/speed.ts';
import { refuseSignal } from '../engine/resume.ts';
import { BlocksagaError } from '../errors.ts';
import type { Journal, Processes } from '../journal/journal.ts';
import { mayRun } from '../journal/lease.ts';
import { sagaIsUnknown } from '../journal/refusals.ts';
import { whenFree } from '../journal/waiting.ts';
import type { Clock } from '../qmp/clock.ts';

interface Way {
  readonly journal: Journal;
  readonly processes: Pick<Processes, 'isAlive'>;
  readonly clock: Clock;
}

/** Resolves when it is in the journal. Throws SAGA_STATE where it comes too late or no process would hear it. */
export async function askSaga(id: string, signal: string, value: unknown, way: Way): Promise<void> {
  const journal = checkedJournal(way.journal);
  const row = journal.saga(id);
  if (row === undefined) throw sagaIsUnknown(id);
  if (row.state !== 'open' || !mayRun(row, way.processes, way.clock.epochMs())) {
    throw new BlocksagaError('SAGA_STATE', `no process runs saga ${id} that could hear it`, { saga: id });
  }
  refuseGroup(row);
  const plan = planOf(row);
  const records = journal.records(id);
  if (signal === SET_SPEED) {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw new BlocksagaError('REQUEST_INVALID', 'a speed is a whole number of bytes per second', {
        saga: id,
      });
    }
    expectSpeed(plan, value);
    await whenFree(way.clock, within => journal.ask(id, signal, value, within));
    return;
  }
  const known = SIGNALS.find(each => each === signal);
  if (known === undefined) {
    throw new BlocksagaError('REQUEST_INVALID', `a saga cannot be asked to "${signal}"`, { saga: id });
  }
  refuseSignal(row, plan, records, known);
  expectAskable({ id, plan, records, signal: known });
  await whenFree(way.clock, within => journal.ask(id, known, null, within));
}
