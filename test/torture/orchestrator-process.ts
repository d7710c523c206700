/** An orchestrator's process as the harness has it: told what to do, heard, killed. Every wait has a deadline. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { asOneFile, CACHE } from '../one-file.ts';
import type { Order, Saying } from './orders.ts';

/** A round starts several of them. */
const PROGRAM = fileURLToPath(new URL('./orchestrator.ts', import.meta.url));
const STDERR_BYTES_MAX = 16_384;

/** How a process came to its end. */
export interface Death {
  readonly says: 'died';
  /** `SIGKILL`, or what else it died of. */
  readonly of: string;
  /** What it wrote on its standard error. */
  readonly stderr: string;
}

/** One orchestrator. */
export interface Orchestrator extends AsyncDisposable {
  tell(order: Order): void;
  /** The next that it says, or its death; undefined when nothing comes within `deadlineMs`. */
  hear(deadlineMs: number): Promise<Saying | Death | undefined>;
  /** Wakes one that has stopped itself. */
  wake(): void;
  kill(): Promise<void>;
}

/** Starts one that works with the journal in `journalFile`. */
export async function startOrchestrator(journalFile: string): Promise<Orchestrator> {
  const program = await asOneFile(PROGRAM);
  const environment = { ...process.env, NODE_COMPILE_CACHE: CACHE };
  const child: ChildProcessByStdio<Writable, Readable, Readable> = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', program, journalFile],
    { stdio: ['pipe', 'pipe', 'pipe'], env: environment },
  );
  const said: (Saying | Death)[] = [];
  let stderr = '';
  let wake = () => {};
  const put = (saying: Saying | Death) => {
    said.push(saying);
    wake();
  };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_BYTES_MAX);
  });
  child.stdin.on('error', () => undefined); // it died before it read: its death is told below
  const lines = createInterface({ input: child.stdout });
  lines.on('line', line => put(JSON.parse(line) as Saying));
  const ended = Promise.all([once(child, 'close'), once(lines, 'close')]).then(() => {
    put({ says: 'died', of: child.signalCode ?? `exit status ${child.exitCode}`, stderr });
  });
  return {
    tell: order => void child.stdin.write(`${JSON.stringify(order)}\n`),
    async hear(deadlineMs) {
      if (said.length === 0) {
        const waiting = new AbortController();
        wake = () => waiting.abort();
        await sleep(systemClock, deadlineMs, waiting.signal);
      }
      return said.shift();
    },
    wake: () => void child.kill('SIGCONT'),
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
