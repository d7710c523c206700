/** What the single executable begins with (`scripts/build-executable.ts`): a script, which cannot wait as `main.ts` does. */
import { EXIT } from './print/exit-status.ts';
import { runHere } from './run-here.ts';

// Stays where nothing is left to be done before the command has come to its end: that is a bug, and no word that all is well.
process.exitCode = EXIT.bug;
void runHere();
