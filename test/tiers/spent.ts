/** Processor seconds, as Linux counts them: of this process, and of the programs it started that have ended. */
import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100; // what Linux tells user space on every architecture

export interface Spent {
  readonly ownS: number;
  readonly programsS: number;
}

/** Fields 14 to 17 of /proc/self/stat (proc_pid_stat(5)): utime, stime, cutime, cstime. */
export function spentHere(): Spent {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // begins with field 3
  const ticks = (field: number) => Number(afterName[field - 3]);
  return {
    ownS: (ticks(14) + ticks(15)) / TICKS_PER_SECOND,
    programsS: (ticks(16) + ticks(17)) / TICKS_PER_SECOND,
  };
}
