/**
 * What is checked before a saga is resumed in another process: whether it may be asked that at all, and whether its own QEMU
 * still answers. A saga that is resumed without its QEMU would record failures for steps that no QEMU was asked about.
 */

import { BlocksagaError, invariant } from '../errors.ts';
import type { JournalRecord, SagaRow } from '../journal/journal.ts';
import { hasMirrors, type Plan, type Program } from '../plan/plan.ts';
import type { Clock } from '../qmp/clock.ts';
import { expectMark } from '../steps/pause/mark-qemu.ts';
import { stagesOf } from '../steps/stages.ts';
import type { Guest } from './connection/guest.ts';
import type { Monitor } from './connection/monitor.ts';
import { expectSwitches, expectWord } from './connection/option-words.ts';
import { ANY, PATIENT, retry } from './connection/retry.ts';
import type { AcceptRestored } from './durable/newest-journal.ts';
import type { SignalName } from './durable/signals.ts';
import { historyOf } from './durable/stages.ts';
import { refuseFurther } from './recovery/further-in-qemu.ts';
import { refuseOlderJournal } from './recovery/living-qemu.ts';
import { offlineProgress } from './recovery/offline-progress.ts';
import { isMarkedBy } from './recovery/plan-to-resume.ts';
import type { SagaResult } from './running/result.ts';
import { mayBeLeft, sagaOf } from './running/saga-face.ts';
import type { Saga } from './running/saga-types.ts';
import { reasonOf } from './running/waiting.ts';

/** How to resume a saga; the journal remembers the monitor's address, which `qmp` replaces. */
export interface ResumeOptions extends Partial<Guest>, AcceptRestored {
  readonly signal?: SignalName;
  /** Another program to be told of the new disks than the one that the saga was begun with. */
  readonly onCommit?: Program;
  /** Takes the saga from a process that is alive but stopped or hung; that one cannot act on it when it wakes up. */
  readonly force?: boolean;
}

/** Throws REQUEST_INVALID for what is no signal, before any process hears it, and for a flag that is not a boolean. */
export function expectResume(options: Pick<ResumeOptions, 'signal' | 'force' | 'acceptRestored'>): void {
  expectWord('signal', Object.keys(SIGNAL_WORDS), options.signal);
  expectSwitches(options, 'force', 'acceptRestored');
}

/** Throws SAGA_STATE for what a saga cannot be asked, or not any more. */
export function refuseSignal(
  row: SagaRow,
  plan: Plan,
  records: readonly JournalRecord[],
  signal: SignalName | undefined,
): void {
  const refuse = (why: string): never => {
    throw new BlocksagaError('SAGA_STATE', `saga ${row.id} ${why}`, { saga: row.id });
  };
  const ended = row.state === 'committed' || row.state === 'rolledBack';
  if (offlineProgress(records).begun && !ended) {
    refuse(`is being recovered offline: end that with "blocksaga resume --offline ${row.id}"`);
  }
  if (signal === undefined) return;
  const reason = reasonOf(row);
  const came = reason === null ? row.state : `${row.state}: ${reason}`;
  if (ended && signal !== signalOf(row, plan))
    refuse(`has ended (${came}) and cannot ${SIGNAL_WORDS[signal]} any more`);
  if (ended) return;
  const last = stagesOf(plan).at(-1);
  invariant(last !== undefined, 'a saga has a stage');
  if (signal === 'pivot' && (!hasMirrors(last.plan) || last.plan.strategy === null)) {
    refuse(
      `has nothing to switch: only a copy or an active commit with --finish pivot or leave has; use "blocksaga resume ${row.id}"`,
    );
  }
  if (signal !== 'pivot' && historyOf(records, last.name).decision === 'forward') {
    refuse(`has taken its decision and only rolls forward: use "blocksaga resume ${row.id}"`);
  }
}

const SIGNAL_WORDS = {
  pivot: 'pivot',
  abort: 'abort',
  keepCopies: 'keep its copies alone',
  keepSnapshot: 'keep its snapshot alone',
} as const;

/** The signal that a saga which has ended came to what it asks for. */
function signalOf({ state, result }: SagaRow, plan: Plan): SignalName {
  if (state === 'rolledBack') return 'abort';
  const { strategy, disks } = result as object as SagaResult;
  if (plan.operation === 'copy' && strategy === null) return 'keepCopies';
  const image = disks[0]?.image;
  const isKept = plan.operation === 'snapshotMirror' && image === plan.snapshot.disks[0]?.image.file;
  return isKept ? 'keepSnapshot' : 'pivot';
}

/**
 * Throws QMP_CONNECT when no QEMU answers, QEMU_REPLACED when another QEMU does, and JOURNAL_BEHIND when the saga has
 * ended, before anything is done. Where the mark was not yet set, or is taken away already, the steps themselves find
 * out.
 */
export async function expectSameQemu(
  monitor: Monitor,
  clock: Clock,
  saga: string,
  plan: Plan,
  records: readonly JournalRecord[],
): Promise<void> {
  const last = stagesOf(plan).at(-1);
  const isForward = last !== undefined && historyOf(records, last.name).decision === 'forward';
  await retry(
    PATIENT,
    clock,
    async () => {
      const qmp = await monitor.client();
      await refuseFurther(qmp, saga, plan, records);
      if (!isMarkedBy(records)) return;
      // A decision to roll forward stands: there a third party may have removed the mark, and nothing can be undone.
      if (!isForward) await refuseOlderJournal(qmp, saga, plan);
      await expectMark(qmp, plan);
    },
    ANY,
  );
}

/** A saga of this process that is asked for something: its result is then that of its end. */
export function asked(running: Saga, signal: SignalName | undefined): Saga {
  if (signal === undefined) return running;
  const { id, vm, operation, metadata, plan, ended } = running;
  return sagaOf({
    ...{ id, vm, operation, metadata, plan, ended },
    result: mayBeLeft(running[signal]()),
    subscribe: listener => running.subscribe(listener),
    signal: name => running[name](),
    setSpeed: bytesPerSecond => running.setSpeed(bytesPerSecond),
  });
}
