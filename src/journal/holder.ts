/**
 * Which process holds a saga, and whether it still runs. Only looks; never signals a process.
 *
 * On Linux a process is its id, its start time (`/proc/PID/stat`, field 22, in clock ticks since boot; proc(5)) and the
 * boot id, in its PID namespace (pid_namespaces(7)). Of a process on another host or in another container nothing can be seen
 * here, and nothing is said: its lease tells.
 */

import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { definedOnly } from '../errors.ts';
import type { Holder, Processes } from './journal.ts';

/** The holder of a saga that was given up. */
export const RELEASED: Holder = { pid: 0, bootId: '', startedAt: '' };

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
  const namespace = namespaceOf(procDir);
  return { pid: process.pid, bootId, startedAt: stat.startedAt, ...definedOnly({ namespace }) };
}

/**
 * Whether the very process runs, not merely one with its id. Undefined for one that cannot be seen from here: of another boot
 * or host, or of another PID namespace. Where that cannot be told (no `/proc`, or one that hides other users' processes) any
 * process of that id counts: a saga is rather left alone than taken from a living process.
 */
export function isAlive(holder: Holder, procDir = '/proc'): boolean | undefined {
  if (holder.pid === RELEASED.pid) return false;
  const self = thisProcess(procDir);
  if (holder.bootId !== self.bootId) return undefined;
  if (holder.namespace !== undefined && holder.namespace !== self.namespace) return undefined;
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

/** Undefined where the system has none, or does not say. */
function namespaceOf(procDir: string): string | undefined {
  try {
    return readlinkSync(`${procDir}/self/ns/pid`);
  } catch (error) {
    if (isThere(error)) throw error;
    return undefined;
  }
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
    if (isThere(error)) throw error;
    return undefined;
  }
}

/** Whether it failed for another reason than that there is no such file, or none that may be read. */
function isThere(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return !['ENOENT', 'ESRCH', 'EACCES', 'ENOTDIR', 'EINVAL'].includes(code);
}
