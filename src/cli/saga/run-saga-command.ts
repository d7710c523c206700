/**
 * What all commands have in common that begin or continue a saga: print the plan, or run the saga, tell how it goes,
 * roll it back when interrupted, and say how it ended by the exit status. The engine does the work.
 */
import type { Engine } from '../../engine/api.ts';
import { createEngine } from '../../engine/engine.ts';
import { areGuestsHeld } from '../../engine/running/last-resort.ts';
import type { SagaResult } from '../../engine/running/result.ts';
import type { Saga } from '../../engine/running/saga.ts';
import { BlocksagaError } from '../../errors.ts';
import type { Journal } from '../../journal/journal.ts';
import { memoryJournal } from '../../journal/memory.ts';
import { openJournal } from '../../journal/sqlite.ts';
import { type Finish, hasMirrors, type Plan } from '../../plan/plan.ts';
import { journalOf, type SagaOptions } from '../options/shared-options.ts';
import { chooseReporter } from '../print/choose-reporter.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, exitStatusOf } from '../print/exit-status.ts';
import { lostResult } from '../print/json-lines.ts';
import { printPlan } from '../print/print-plan.ts';
import { reportBug } from '../print/report-bug.ts';
import { neverThrowing, type Reporter } from '../print/reporter.ts';
import { type ListenerOptions, listenersOf } from './listeners.ts';
import { warnOfOlder } from './tell-age.ts';
import { withJournal } from './with-journal.ts';

/** One command's way into the engine. */
export interface SagaCommand {
  readonly plan: (engine: Engine) => Promise<Plan>;
  readonly start: (engine: Engine) => Promise<Saga>;
}

/** Runs it and returns the exit status. Throws refusals. */
export async function runSagaCommand(
  command: SagaCommand,
  options: SagaOptions,
  context: CliContext,
): Promise<number> {
  if (options.plan) {
    const engine = createEngine({ journal: memoryJournal() });
    await printPlan(await command.plan(engine), options, context);
    return EXIT.done;
  }
  return withJournal(openJournal(journalOf(options, context)), context, async journal => {
    warnOfOlder(journal, context);
    const { saga, result } = await followSaga(command.start, journal, options, context);
    return exitStatusOf(result, finishOf(saga));
  });
}

/** Runs one saga to where it ends or waits, and tells of it meanwhile. Throws refusals. */
export async function followSaga(
  start: SagaCommand['start'],
  journal: Journal,
  options: ListenerOptions & { readonly json?: boolean; readonly journal?: string },
  context: CliContext,
): Promise<{ readonly saga: Saga; readonly result: SagaResult }> {
  const reporter = neverThrowing(chooseReporter(options, context), context);
  const listeners = listenersOf(options, context, line => reporter.say(line), journalOf(options, context));
  const engine = createEngine({ journal, ...listeners.engine });
  let interrupts = 0;
  let running: Saga | undefined;
  const stopListening = context.onInterrupt(() => {
    interrupts += 1;
    if (interrupts > 1) return leave(running, reporter, context);
    reporter.say('interrupted: rolling back; once more leaves at once');
    if (running !== undefined) rollBack(running, reporter);
  });
  try {
    const saga = await start(engine);
    running = saga;
    reporter.begun({ saga, vm: journal.saga(saga.id)?.vm ?? '' });
    saga.subscribe(notice => reporter.notice(notice));
    if (interrupts > 0) rollBack(saga, reporter);
    const result = await saga.result.catch(error => {
      if (error instanceof BlocksagaError) return lostResult(saga, error);
      reportBug(error, context);
      return lostResult(saga, new BlocksagaError('INTERNAL', `a bug of blocksaga: ${String(error)}`));
    });
    await reporter.ended({ saga, result });
    return { saga, result };
  } finally {
    stopListening();
    await engine.close();
    await listeners.close();
  }
}

function rollBack(saga: Saga, reporter: Reporter): void {
  saga.abort().catch(error => {
    if (!(error instanceof BlocksagaError)) throw error;
    reporter.say(`it could not be told to roll back: ${error.message}`);
  });
}

function leave(saga: Saga | undefined, reporter: Reporter, context: CliContext): void {
  if (saga === undefined) return void context.leave(EXIT.refused);
  const when = areGuestsHeld() ? 'leaving as soon as the guest runs' : 'left';
  reporter.say(`${when}; saga ${saga.id} is open in the journal: blocksaga resume ${saga.id}`);
  void context.leave(EXIT.needsRecovery);
}

function finishOf({ plan }: Saga): Finish | null {
  return hasMirrors(plan) ? plan.finish : null;
}
