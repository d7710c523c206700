/**
 * The world as the command sees it: where lines go, where it was started, who interrupts it. One real one, so that the
 * commands themselves never touch `process` and can run in a test.
 */
import { type Clock, systemClock } from '../qmp/clock.ts';

/** What every command is given. */
export interface CliContext {
  /** One line on standard output. */
  write(line: string): void;
  /** One line on standard error. */
  complain(line: string): void;
  /** Whether somebody watches standard output on a terminal, so that lines may be drawn over. */
  readonly interactive: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  readonly clock: Clock;
  /** Calls back at every SIGINT and SIGTERM from now on; returns what ends that. */
  onInterrupt(listener: () => void): () => void;
  /** Ends the process at once, with whatever is under way. */
  leave(status: number): never;
}

/** This process. Whoever reads our output may go away (`| head`): then nothing more is written, and the work goes on. */
export function processContext(): CliContext {
  return {
    write: lineWriter(process.stdout),
    complain: lineWriter(process.stderr),
    interactive:
      process.stdout.isTTY === true &&
      process.stdout.columns > 0 &&
      !process.env['CI'] &&
      process.env['TERM'] !== 'dumb',
    env: process.env,
    directory: process.cwd(),
    clock: systemClock,
    onInterrupt(listener) {
      process.on('SIGINT', listener);
      process.on('SIGTERM', listener);
      return () => {
        process.off('SIGINT', listener);
        process.off('SIGTERM', listener);
      };
    },
    leave: status => process.exit(status),
  };
}

function lineWriter(stream: NodeJS.WriteStream): (line: string) => void {
  let open = true;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    open = false;
  });
  return line => {
    if (open) stream.write(`${line}\n`);
  };
}
