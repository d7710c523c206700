/** What `bin/blocksaga.js` loads: runs the command line of this process and ends with its status. */
import { processContext } from './context.ts';
import { EXIT } from './exit-status.ts';
import { reportBug, runProgram } from './program.ts';

const context = processContext();
// Node would end with status 1 here, which is a claim that everything was taken back.
process.on('uncaughtException', error => {
  reportBug(error, context);
  process.exit(EXIT.bug);
});
const status = await runProgram(process.argv.slice(2), context);
// A saga that waits at `ready` keeps its connection: the end of the process ends it, once all output has left.
await Promise.all([process.stdout, process.stderr].map(drained));
process.exit(status);

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => stream.write('', () => resolve()));
}
