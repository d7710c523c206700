/**
 * Runs a program that gets one line of input, without a shell, in a process group of its own: it does not get our
 * interrupts, and it is ended with all that it has begun when its time is over, or when this process must end. It
 * signals no other process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { BlocksagaError } from '../../errors.ts';
import type { Program } from '../../plan/plan.ts';
import { type Clock, sleep, systemClock } from '../../qmp/clock.ts';

/** How long a program may take unless it was said, milliseconds. */
const PROGRAM_DEADLINE_MS = 60_000;
/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 2_000;
const LOOK_MS = 20;
const STDERR_BYTES_MAX = 4_096;

const running = new Set<ChildProcess>();

/** Gives it one line on its standard input; throws PUBLISH unless it ends with status 0 in time. */
export async function runProgram(
  { program, arguments: list, environment = [], timeoutMs = PROGRAM_DEADLINE_MS }: Program,
  line: string,
  clock: Clock,
): Promise<void> {
  const missing = environment.find(name => process.env[name] === undefined);
  if (missing !== undefined)
    throw failed(program, `needs ${missing} in the environment, where it is not: set it, then resume`);
  const child = spawn(program, list, { stdio: ['pipe', 'ignore', 'pipe'], detached: true });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-STDERR_BYTES_MAX);
  });
  child.stdin.on('error', () => undefined); // it need not read it: its status tells whether it was content
  let isLate = false;
  const cancel = clock.after(timeoutMs, () => {
    isLate = true;
    void end(child, clock);
  });
  try {
    const ending = new Promise<string | number>((resolve, reject) => {
      child.once('error', error => reject(failed(program, `cannot be run: ${error.message}`, error)));
      // `exit`, not `close`: a process that it left behind may keep its standard error open.
      child.once('exit', (code, signal) => resolve(code ?? signal ?? 'nothing'));
    });
    running.add(child);
    child.stdin.end(`${line}\n`);
    const ended = await ending;
    if (isLate) throw failed(program, `did not end within ${timeoutMs} ms`);
    if (ended === 0) return;
    const how = typeof ended === 'number' ? `status ${ended}` : ended;
    throw failed(program, `ended with ${how}${said === '' ? '' : `: ${said.trim()}`}`);
  } finally {
    cancel();
    running.delete(child);
  }
}

/** Ends the programs that run, for a process that ends: SIGTERM, and SIGKILL after two seconds. Never rejects. */
export async function endPrograms(clock: Clock = systemClock): Promise<void> {
  await Promise.all([...running].map(child => end(child, clock)));
}

async function end(child: ChildProcess, clock: Clock): Promise<void> {
  // A number that is free again may be another's.
  if (!isRunning(child)) return;
  signalGroup(child, 'SIGTERM');
  const deadlineMs = clock.now() + GRACE_MS;
  while (isRunning(child) && clock.now() < deadlineMs) await sleep(clock, LOOK_MS);
  // What it has begun may outlive it, and keeps the number of the group in use.
  signalGroup(child, 'SIGKILL');
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal); // there is no such group: all of it has ended
  }
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

function failed(program: string, why: string, cause?: unknown): BlocksagaError {
  return new BlocksagaError('PUBLISH', `the new disks could not be published: ${program} ${why}`, { cause });
}
