/**
 * Hands a definition to whoever the saga was begun with: a function of this engine, or a program, which is run without a
 * shell. Says whether it was taken; how often that is tried is the step host's business.
 */
import { spawn } from 'node:child_process';
import { BlocksagaError } from '../errors.ts';
import type { SagaRow } from '../journal/journal.ts';
import type { Clock } from '../qmp/clock.ts';
import type { OnCommit, Plan, Program } from '../steps/plan.ts';
import type { DefinedDisk, Definition } from '../steps/publish-definitions.ts';

/** Told after each saga's decision which disks its VM has now, at least once; a rejection is tried again for minutes. */
export type Publisher = (definition: Definition) => Promise<void>;

const PROGRAM_DEADLINE_MS = 60_000;
const STDERR_BYTES_MAX = 4_096;

/** Who is to be told: the program that the request names, else the engine's own publisher. */
export function onCommitOf(program: Program | undefined, publisher: Publisher | undefined): OnCommit | null {
  if (program !== undefined) return { by: 'program', ...program };
  return publisher === undefined ? null : { by: 'engine' };
}

/** The plan with another program to be told. Throws REQUEST_INVALID when nobody was to be told from the beginning. */
export function toldTo<P extends Plan>(program: Program | undefined, plan: P): P {
  if (program === undefined) return plan;
  if (plan.onCommit !== null) return { ...plan, onCommit: { by: 'program', ...program } };
  throw new BlocksagaError(
    'REQUEST_INVALID',
    'this saga was begun without anybody to tell of its new disks: leave --on-commit out, and look at its result',
  );
}

/** What tells the disks of one saga. It throws PUBLISH, or REQUEST_INVALID when there is nobody to tell. */
export function publisherOf(
  { id, vm, operation }: Pick<SagaRow, 'id' | 'vm' | 'operation'>,
  onCommit: OnCommit | null,
  publisher: Publisher | undefined,
  clock: Clock,
): (disks: readonly DefinedDisk[]) => Promise<void> {
  return async disks => {
    const definition = { saga: id, vm, operation, disks };
    if (onCommit?.by === 'program') return runProgram(onCommit, definition, clock);
    if (publisher === undefined) {
      throw new BlocksagaError(
        'REQUEST_INVALID',
        `saga ${id} was begun by a program that keeps the VM's records itself: resume it there, or say with --on-commit who is to be told`,
      );
    }
    try {
      await publisher(definition);
    } catch (cause) {
      throw new BlocksagaError('PUBLISH', `the new disks could not be published: ${String(cause)}`, {
        cause,
      });
    }
  };
}

/** The program gets the definition as one line of JSON on its standard input, and says by status 0 that it took it. */
function runProgram(
  { program, arguments: list }: Program,
  definition: Definition,
  clock: Clock,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void =>
      reject(
        new BlocksagaError('PUBLISH', `the new disks could not be published: ${program} ${why}`, { cause }),
      );
    const child = spawn(program, list, { stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-STDERR_BYTES_MAX);
    });
    let late = false;
    const cancel = clock.after(PROGRAM_DEADLINE_MS, () => {
      late = true;
      child.kill('SIGKILL');
    });
    child.once('error', error => {
      cancel();
      fail(`cannot be run: ${error.message}`, error);
    });
    // `exit`, not `close`: a process that it left behind may keep its standard error open.
    child.once('exit', (code, signal) => {
      cancel();
      if (code === 0) resolve();
      else if (late) fail(`did not end within ${PROGRAM_DEADLINE_MS} ms`);
      else fail(`ended with ${signal ?? `status ${code}`}${said === '' ? '' : `: ${said.trim()}`}`);
    });
    child.stdin.on('error', () => undefined); // it need not read it: its status tells whether it was content
    child.stdin.end(`${JSON.stringify(definition)}\n`);
  });
}
