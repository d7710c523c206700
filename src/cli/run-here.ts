/**
 * Runs the command line of this process and ends it with the status of that, whatever happens: an uncaught error, or output that cannot
 * be written, ends nothing that still holds a guest.
 */
import { leaveProcess, processContext } from './print/context.ts';
import { EXIT } from './print/exit-status.ts';
import { drained } from './print/line-writer.ts';
import { printableContext } from './print/printable.ts';
import { reportBug } from './print/report-bug.ts';
import { runProgram } from './program.ts';

export async function runHere(): Promise<void> {
  const context = printableContext(processContext());
  // Node would end with status 1 here, which is a claim that everything was rolled back.
  process.on('uncaughtException', error => {
    reportBug(error, context);
    void leaveProcess(EXIT.bug);
  });
  // A file that may not grow (`ulimit -f`) is then an error of the write, the journal's too, and not the end of this process.
  process.on('SIGXFSZ', () => undefined);
  const status = await runProgram(process.argv.slice(2), context);
  // A saga that waits at `ready` keeps its connection: the end of the process ends it, once all output has left.
  await Promise.all([process.stdout, process.stderr].map(drained));
  await leaveProcess(status);
}
