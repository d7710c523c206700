/** What `bin/blocksaga.js` loads, bundled by `scripts/bundle-command.ts`. */
import { runHere } from './run-here.ts';

await runHere();
