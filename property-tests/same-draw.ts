/**
 * Where a change is judged (CI), the same cases are drawn each time, so that a red run is the change's doing; everywhere else
 * each run draws anew, and `blocksaga fuzz` draws many more.
 */
import fc from 'fast-check';

const SEED = 20_261_129;

if (process.env['CI'] !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: SEED });
