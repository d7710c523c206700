/**
 * Asks a saga that another process runs to switch or to roll back: through the journal, where that process looks. When
 * it dies instead of answering, the saga is resumed here. It speaks to no QEMU itself.
 */
import { BlocksagaError, type ErrorRecord, invariant } from '../errors.ts';
import type { Journal, Lease, SagaRow } from '../journal/journal.ts';
import { whenFree } from '../journal/waiting.ts';
import type { Plan } from '../plan/plan.ts';
import { type Clock, sleep } from '../qmp/clock.ts';
import type { Engine } from './api.ts';
import { seize } from './connection/fence.ts';
import type { OnListenerError } from './connection/isolate.ts';
import { HEARD, SET_SPEED } from './durable/history.ts';
import type { SignalName } from './durable/signals.ts';
import { expectSpeed } from './durable/speed.ts';
import { followedSaga } from './followed.ts';
import type { ResumeOptions } from './resume.ts';
import { endedSaga } from './running/ended-saga.ts';
import { type SagaResult, untouchedResult } from './running/result.ts';
import { mayBeLeft } from './running/saga-face.ts';
import type { Saga } from './running/saga-types.ts';
import { isWaiting } from './running/waiting.ts';

const LOOK_MS = 250;
/** A process looks twice a second; one that has not by then is stopped, or hangs. */
const HEARING_DEADLINE_MS = 30_000;

interface Elsewhere {
  readonly engine: Pick<Engine, 'resume'>;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly row: SagaRow;
  readonly plan: Plan;
  readonly onListenerError: OnListenerError | undefined;
  /** As `resume` was called; the signal is what is asked. */
  readonly options: ResumeOptions;
}

/** Asks, and gives the saga that runs there: its result is that of its end. Throws SAGA_STATE when it has just ended. */
export function askElsewhere(parts: Elsewhere): Saga {
  const { engine, journal, clock, row, plan, options } = parts;
  const { signal, ...again } = options;
  invariant(signal !== undefined, 'asking for nothing is refused');
  const watched = { journal, clock, row, resume: () => engine.resume(row.id, again) };
  const asking = whenFree(clock, within => journal.ask(row.id, signal, null, within));
  const result = mayBeLeft(asking.then(seq => awaitEnd(watched, signal, seq)));
  return followedSaga({
    ...{ journal, clock, row, plan, onListenerError: parts.onListenerError },
    result,
    ended: result,
    signal: other => askElsewhere({ ...parts, options: { ...again, signal: other } }).result,
    setSpeed: bytesPerSecond => setSpeedElsewhere(journal, row, plan, bytesPerSecond, clock),
  });
}

/**
 * A saga that another process runs, with nothing asked of it. With `resume` it is resumed here when that process is gone;
 * without, it is only looked at. Nothing is read before a caller waits for it.
 */
export function watchElsewhere(parts: WatchedElsewhere): Saga {
  const { journal, clock, row, plan } = parts;
  let result: Promise<SagaResult> | undefined;
  let ended: Promise<SagaResult> | undefined;
  const resume = parts.resume ?? (() => Promise.reject(stillHeld(row)));
  const watched = { journal, clock, row, resume };
  const endOnce = () => {
    ended ??= awaitEnd(watched, undefined, undefined);
    return ended;
  };
  return followedSaga({
    ...parts,
    get result() {
      result ??= Promise.race([whenWaiting(parts, endOnce()), endOnce()]);
      return result;
    },
    get ended() {
      return endOnce();
    },
    setSpeed: bytesPerSecond => setSpeedElsewhere(journal, row, plan, bytesPerSecond, clock),
  });
}

export interface WatchedElsewhere
  extends Pick<Elsewhere, 'journal' | 'clock' | 'row' | 'plan' | 'onListenerError'> {
  signal(name: SignalName): Promise<SagaResult>;
  resume?(): Promise<Saga>;
}

/** Resolves when it waits for a signal; never where it ends first. */
async function whenWaiting(parts: WatchedElsewhere, end: Promise<SagaResult>): Promise<SagaResult> {
  const { journal, clock, row, plan } = parts;
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  end.then(over, over);
  while (!isOver) {
    if (isWaiting(journal.saga(row.id) ?? row, journal.records(row.id))) return waitingResult(row, plan);
    await sleep(clock, LOOK_MS);
  }
  return end;
}

/** As far as the journal can say it: the guest is on its old images, or on the overlays of a snapshot with mirrors. */
function waitingResult(row: SagaRow, plan: Plan): SagaResult {
  const result = untouchedResult(row.id, plan, null);
  const disks = result.disks.map(disk => ({
    ...disk,
    after: plan.operation === 'snapshotMirror' ? null : disk.after,
  }));
  return { ...result, outcome: 'ready', disks };
}

function stillHeld({ id, operation }: SagaRow): BlocksagaError {
  const why = `saga ${id} runs in another process`;
  return new BlocksagaError('VM_BUSY', why, { saga: id, blockedBy: { saga: id, operation } });
}

/** Has the process that runs a saga set the speed of its jobs. Throws what it throws there, and VM_BUSY when it is deaf. */
export async function setSpeedElsewhere(
  journal: Journal,
  row: SagaRow,
  plan: Plan,
  bytesPerSecond: number,
  clock: Clock,
): Promise<void> {
  expectSpeed(plan, bytesPerSecond);
  const seq = await whenFree(clock, within => journal.ask(row.id, SET_SPEED, bytesPerSecond, within));
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const answer = answerTo(journal, row.id, seq);
    if (answer !== undefined && answer.error !== null) throw BlocksagaError.fromRecord(answer.error);
    if (answer !== undefined) return;
    if (waitedMs > HEARING_DEADLINE_MS) throw deaf(row, 'set the speed');
    await sleep(clock, LOOK_MS);
  }
}

interface Watched extends Pick<Elsewhere, 'journal' | 'clock' | 'row'> {
  /** Resumes it here; rejects with VM_BUSY while its process is alive. */
  resume(): Promise<Saga>;
}

/** Ends when the saga does: by its process, which bounds all that it does, or here, when that is gone. */
async function awaitEnd(
  parts: Watched,
  signal: SignalName | undefined,
  seq: number | undefined,
): Promise<SagaResult> {
  const { journal, row, clock, resume } = parts;
  let isHeard = false;
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const now = journal.saga(row.id);
    if (now !== undefined && now.state !== 'open') return endOf(now, signal);
    const here = await unlessBusy(resume, () => journal.saga(row.id)?.state !== 'open');
    if (here !== undefined) return here.ended;
    isHeard ||= seq === undefined || signal === undefined || answerTo(journal, row.id, seq) !== undefined;
    if (!isHeard && waitedMs > HEARING_DEADLINE_MS) throw deaf(row, signal ?? 'end');
    await sleep(clock, LOOK_MS);
  }
}

async function endOf(row: SagaRow, signal: SignalName | undefined): Promise<SagaResult> {
  if (signal === 'abort' && row.state === 'committed') {
    const why = `saga ${row.id} was asked too late: its decision had been taken, and it has ended as committed`;
    throw new BlocksagaError('SAGA_STATE', why, { saga: row.id });
  }
  return endedSaga(row).result;
}

/** Undefined while a living process has the saga, and when it has ended there since it was looked at. */
async function unlessBusy(resume: () => Promise<Saga>, hasEnded: () => boolean): Promise<Saga | undefined> {
  try {
    return await resume();
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    if (error.code === 'VM_BUSY' || (error.code === 'SAGA_STATE' && hasEnded())) return undefined;
    throw error;
  }
}

/** The lease to resume with; undefined where a living process has it that can be asked instead. Throws as `takeOver`. */
export async function seizeUnlessHeld(
  journal: Journal,
  id: string,
  { force = false, signal }: ResumeOptions,
  clock: Clock,
): Promise<Lease | undefined> {
  try {
    return await seize(journal, id, force, clock);
  } catch (error) {
    if (signal !== undefined && error instanceof BlocksagaError && error.code === 'VM_BUSY') return undefined;
    throw error;
  }
}

interface Answer {
  readonly seq: number;
  readonly error: ErrorRecord | null;
}

function answerTo(journal: Journal, id: string, seq: number): Answer | undefined {
  const answers = journal.records(id).filter(({ kind, step }) => kind === 'signal' && step === HEARD);
  return answers.map(({ body }) => body as object as Answer).find(answer => answer.seq === seq);
}

function deaf({ id, holder }: SagaRow, what: string): BlocksagaError {
  return new BlocksagaError(
    'VM_BUSY',
    `saga ${id} was asked to ${what}, and its process ${holder.pid} has not heard it for ${HEARING_DEADLINE_MS / 1000} s: it is stopped, or hangs. It will hear it once it runs again; "blocksaga resume --force ${id}" takes the saga from it`,
    { saga: id },
  );
}
