/**
 * The process of a QEMU, and what it says on its standard error. It dies with this process as far as a process can see its own end
 * coming (`process.on('exit')`), and otherwise through a watching shell whose standard input ends when this process does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { BlocksagaError } from '../errors.ts';
import { sleep, systemClock } from '../qmp/clock.ts';
import { watchOver } from './qemu-watcher.ts';
import type { Reports } from './reports.ts';
import { connectWitness, type Witness } from './witness.ts';

const START_DEADLINE_MS = 120_000;
const POLL_MS = 20;
const STDERR_BYTES_MAX = 65_536;

/** A QEMU that was started here. */
export interface Qemu {
  readonly pid: number;
  readonly ended: Promise<void>;
  running(): boolean;
  stderr(): string;
  kill(): Promise<void>;
}

export function startQemu(
  binary: string,
  args: readonly string[],
  reports: Pick<Reports, 'end' | 'endNow'>,
  runtime: string,
): Qemu {
  const child: ChildProcess = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  let running = true;
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-STDERR_BYTES_MAX);
  });
  const unwatch = child.pid === undefined ? () => undefined : watchOver(child.pid, runtime);
  const killNow = () => {
    child.kill('SIGKILL');
    reports.endNow();
  };
  process.on('exit', killNow);
  const over = new Promise<void>(resolve => {
    const end = () => {
      running = false;
      unwatch();
      process.off('exit', killNow);
      resolve();
    };
    child.once('error', error => {
      said += String(error); // the binary cannot be run; there will be no exit
      end();
    });
    child.once('exit', (code, signal) => {
      said += `(QEMU ended: ${signal ?? `exit status ${code}`})`;
      end();
    });
  });
  const ended = over.then(() => reports.end());
  ended.catch(() => undefined); // the caller that awaits `kill` or counts gets it; an end by itself must not crash the process
  return {
    pid: child.pid ?? 0,
    ended,
    running: () => running,
    stderr: () => said,
    async kill() {
      if (running) child.kill('SIGKILL');
      await ended;
    },
  };
}

/** A witness on this monitor, as soon as there is one. Throws QMP_CONNECT with what QEMU said when it ends instead, or never answers. */
export async function connectWhenUp(path: string, qemu: Qemu): Promise<Witness> {
  const untilMs = systemClock.now() + START_DEADLINE_MS;
  for (;;) {
    try {
      return await connectWitness(path);
    } catch (cause) {
      if (qemu.running() && systemClock.now() < untilMs) {
        await sleep(systemClock, POLL_MS);
        continue;
      }
      await qemu.kill();
      throw new BlocksagaError('QMP_CONNECT', `QEMU did not come up: ${qemu.stderr()}`, { cause });
    }
  }
}
