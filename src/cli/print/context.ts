/**
 * The world as the command sees it: where lines go, where it was started, who interrupts it. One real one, so that the
 * commands themselves never touch `process` and can run in a test.
 */
import { existsSync, readFileSync } from 'node:fs';
import { endPrograms } from '../../engine/connection/run-program.ts';
import { areGuestsHeld, releaseGuests } from '../../engine/running/last-resort.ts';
import { type Clock, systemClock } from '../../qmp/clock.ts';
import { doNotWaitFor, ignores, lineWriter } from './line-writer.ts';

/** What every command is given. */
export interface CliContext {
  /** One line on standard output. */
  write(line: string): void;
  /** One line on standard error. */
  complain(line: string): void;
  /** Whether standard output is a terminal, so that lines may be drawn over. */
  readonly interactive: boolean;
  /** How wide that terminal is, in characters. */
  columns(): number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  readonly clock: Clock;
  /** Calls back at every SIGINT, SIGTERM, SIGHUP and SIGQUIT from now on; returns what ends that. */
  onInterrupt(listener: () => void): () => void;
  /** Ends the process with whatever is under way, as soon as it leaves no guest paused. */
  leave(status: number): Promise<void>;
}

/** What ends a process from outside, as far as a process may hear of it. */
const INTERRUPTS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/** Of a terminal that does not say. */
const COLUMNS = 80;

/** This process. The reader of our output may go away (`| head`): then nothing more is written, and the work continues. */
export function processContext(): CliContext {
  for (const stream of [process.stdout, process.stderr]) doNotWaitFor(stream);
  const complain = lineWriter(process.stderr, () => undefined); // there is no reader left to tell
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const signals = INTERRUPTS.filter(signal => !ignores(signal, status));
  return {
    write: lineWriter(process.stdout, why =>
      complain(`standard output cannot be written, the work continues: ${why}`),
    ),
    complain,
    interactive:
      process.stdout.isTTY === true &&
      process.stdout.columns > 0 &&
      !process.env['CI'] &&
      process.env['TERM'] !== 'dumb',
    columns: () => process.stdout.columns || COLUMNS,
    env: process.env,
    directory: process.cwd(),
    clock: systemClock,
    onInterrupt(listener) {
      for (const signal of signals) process.on(signal, listener);
      return () => {
        for (const signal of signals) process.off(signal, listener);
      };
    },
    leave: leaveProcess,
  };
}

const RELEASES_MAX = 10;

let isLeaving = false;

/** Ends this process; a guest that one of its sagas has paused is resumed first. Called again, it changes nothing. */
export async function leaveProcess(status: number): Promise<void> {
  if (isLeaving) return;
  isLeaving = true;
  for (const signal of INTERRUPTS) process.on(signal, () => undefined); // it is leaving
  // Another saga of this process may have come to its pause meanwhile.
  for (let rounds = 0; areGuestsHeld() && rounds < RELEASES_MAX; rounds += 1) await releaseGuests();
  await endPrograms();
  process.exit(status);
}
