/**
 * Which process holds a saga, and whether it still runs. Only looks; never signals a process.
 *
 * On Linux a process is its id, its start time (`/proc/PID/stat`, field 22, in clock ticks since boot; proc(5)) and the
 * boot id. Processes that share a journal must see one another: containers need one PID namespace, or a journal each.
 */

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Holder, Processes } from './journal.ts';

/**
 * This process.
 *
 * @example
 * ```ts
 * console.log(isAlive(thisProcess())); // true
 * ```
 */
export function thisProcess(procDir = '/proc'): Holder {
  const bootId = readIfThere(`${procDir}/sys/kernel/random/boot_id`)?.trim();
  const stat = statOf(procDir, process.pid);
  if (bootId === undefined || stat === undefined) {
    return { pid: process.pid, bootId: hostname(), startedAt: String(Math.round(performance.timeOrigin)) };
  }
  return { pid: process.pid, bootId, startedAt: stat.startedAt };
}

/**
 * Whether the very process runs, not merely one with its id. Where that cannot be told (no `/proc`, or one that hides
 * other users' processes) any process of that id counts: a saga is rather left alone than taken from a living process.
 */
export function isAlive(holder: Holder, procDir = '/proc'): boolean {
  const self = thisProcess(procDir);
  if (holder.bootId !== self.bootId) return false;
  if (holder.pid === self.pid) return holder.startedAt === self.startedAt;
  const stat = statOf(procDir, holder.pid);
  if (stat === undefined) return exists(holder.pid);
  // A zombie (Z) or a process being removed (X) never runs again.
  return stat.startedAt === holder.startedAt && stat.state !== 'Z' && stat.state !== 'X';
}

/** The real processes of this machine; this one's identity is read once. */
export function systemProcesses(): Processes {
  return { self: thisProcess(), isAlive: holder => isAlive(holder) };
}

function statOf(
  procDir: string,
  pid: number,
): { readonly state: string; readonly startedAt: string } | undefined {
  const text = readIfThere(`${procDir}/${pid}/stat`);
  // Field 2 is the command's name in parentheses and may itself hold blanks and parentheses: count from its end.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startedAt] = [fields?.[0], fields?.[19]];
  return state === undefined || startedAt === undefined ? undefined : { state, startedAt };
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Undefined when the file is not there or the process ends while it is read (ESRCH). */
function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
