/**
 * Runs the built command as a process, as a user would, and a tap on its line to QEMU. The tap records the names of the
 * commands and passes every byte on; it injects no faults.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import type { SagaResult } from '../../src/index.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { isFull } from '../tiers/tier.ts';

const ROOT = join(import.meta.dirname, '../..');
const BUNDLER = 'scripts/bundle-command.ts';
const BUNDLED = 'dist/command/main.js';

/**
 * Builds `dist`, which `bin/blocksaga.js` loads, so that no test runs yesterday's program; not where all of `dist` is
 * newer than all that it is made from.
 */
export function buildCommand(): void {
  const made = [join(ROOT, 'tsconfig.json'), join(ROOT, 'tsconfig.build.json'), join(ROOT, BUNDLER)];
  const sources = [...made, ...filesBelow('src')];
  const built = [...filesBelow('src').filter(isCompiled).map(builtAtMs), changedAtMs(join(ROOT, BUNDLED))];
  if (Math.max(...sources.map(changedAtMs)) < Math.min(...built)) return;
  // 2: built, with type errors, which the type check reports.
  runScript(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], [0, 2]);
  runScript([BUNDLER], [0]);
}

function runScript(args: readonly string[], good: readonly number[]): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  if (status === null || !good.includes(status)) throw new Error(`cannot build: ${stdout}${stderr}`);
}

function filesBelow(folder: string): readonly string[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
}

function isCompiled(file: string): boolean {
  return file.endsWith('.ts');
}

function builtAtMs(file: string): number {
  return changedAtMs(file.replace(join(ROOT, 'src'), join(ROOT, 'dist')).replace(/\.ts$/, '.js'));
}

/** Zero when it is not there. */
function changedAtMs(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** One line of `--json`, as far as the tests look into it. */
export type Line =
  | ({ readonly type: 'result' } & Omit<SagaResult, 'outcome'> & { readonly outcome: string })
  | { readonly type: 'saga'; readonly id: string; readonly vm: string; readonly operation: string }
  | { readonly type: 'event'; readonly saga: string; readonly state: string }
  | { readonly type: 'progress'; readonly saga: string; readonly disk: string; readonly status: string };

/** A command that runs. */
export interface Running {
  readonly child: ChildProcess;
  /** What it has written so far. */
  readonly out: readonly string[];
  readonly err: readonly string[];
  /** Resolves with the first line that passes; rejects when the command ends without it. */
  line(passes: (line: string) => boolean): Promise<string>;
  /** The exit status, once all output has come. */
  readonly status: Promise<number | null>;
}

/** Starts `blocksaga ...args` with a journal of its own. It is killed when the test ends. */
export function startCommand(state: string, ...args: readonly string[]): Running {
  const child = spawn(process.execPath, [join(ROOT, 'bin/blocksaga.js'), ...args], {
    env: { ...process.env, XDG_STATE_HOME: state, CI: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  });
  const out: string[] = [];
  const err: string[] = [];
  const listeners = new Set<() => void>();
  const changed = () => {
    for (const listener of listeners) listener();
  };
  createInterface({ input: child.stdout }).on('line', line => {
    out.push(line);
    changed();
  });
  createInterface({ input: child.stderr }).on('line', line => err.push(line));
  let ended = false;
  const status = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', code => {
      ended = true;
      changed();
      resolve(code);
    });
  });
  return {
    child,
    out,
    err,
    status,
    line: passes =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = out.find(passes);
          if (found === undefined && !ended) return;
          listeners.delete(look);
          if (found === undefined)
            reject(new Error(`ended without that line: ${[...out, ...err].join('\n')}`));
          else resolve(found);
        };
        listeners.add(look);
        look();
      }),
  };
}

/** Runs it to its end. */
export async function runCommand(state: string, ...args: readonly string[]) {
  const running = startCommand(state, ...args);
  const status = await running.status;
  return { status, out: running.out, err: running.err.join('\n') };
}

/**
 * The same for a question of which not the process matters: in the quick tier the program is called right here, which saves the
 * start of Node.
 */
export const askCommand: typeof runCommand = isFull ? runCommand : callProgram;

async function callProgram(state: string, ...args: readonly string[]) {
  const context = fakeContext({ env: { ...process.env, XDG_STATE_HOME: state, CI: '1' } });
  const status = await runProgram(args, context);
  return { status, out: context.out.flatMap(text => text.split('\n')), err: context.err.join('\n') };
}

/** All lines of `--json`; each must be one. */
export function parse(out: readonly string[]): readonly Line[] {
  return out.map(line => JSON.parse(line) as Line);
}

/** The last line, which must be the result. */
export function resultOf(out: readonly string[]): Line & { type: 'result' } {
  const last = parse(out).at(-1);
  expect(last?.type, out.slice(-3).join('\n')).toBe('result');
  return last as Line & { type: 'result' };
}

/** A socket that passes everything on to the monitor; `commands` are the names of the commands so far. */
export async function tapMonitor(
  monitor: string,
): Promise<{ readonly address: string; readonly commands: string[] }> {
  const address = join(temporaryFolder(), 'tap.qmp');
  const commands: string[] = [];
  const server = createServer(client => {
    const qemu = createConnection(monitor);
    const lines = createInterface({ input: client }).on('line', line => {
      commands.push((JSON.parse(line) as { execute: string }).execute);
    });
    lines.on('error', () => undefined); // the socket's, once more
    client.pipe(qemu).pipe(client);
    for (const socket of [client, qemu]) {
      socket.on('error', () => socket.destroy()); // either side may go away first
    }
    onTestFinished(() => {
      client.destroy();
      qemu.destroy();
    });
  });
  await new Promise<void>(resolve => server.listen(address, resolve));
  onTestFinished(() => void server.close());
  return { address, commands };
}
