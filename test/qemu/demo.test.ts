import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import { often, turns } from '../tiers/tier.ts';
import { buildCommand } from './cli-process.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const LINES_MAX = 43;
/** A guest that is only looked at costs a processor for as long as it writes without a rest. */
const PACING_US = often(40_000, 5_000);
const scenario = new URL('../../dist/demo/scenario.js', import.meta.url).href;

interface Run {
  readonly child: ReturnType<typeof spawn>;
  /** Where this process makes its temporary files; nothing else does. */
  readonly temporary: string;
  readonly lines: readonly string[];
  /** Resolves with the exit status when all output has been read. */
  readonly ended: Promise<number | null>;
}

/** Runs a Node program with a temporary directory of its own, so that what it leaves is seen. */
async function run(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Run> {
  const temporary = await mkdtemp(join(tmpdir(), 'bsd-'));
  onTestFinished(() => rm(temporary, { recursive: true }));
  const child = spawn(process.execPath, args, {
    env: { ...process.env, TMPDIR: temporary, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts.map(stripVTControlCharacters));
  });
  const complaints = text(child.stderr);
  const ended = once(child, 'close').then(async ([code]) => {
    expect(await complaints).toBe('');
    return code as number | null;
  });
  ended.catch(() => undefined); // what awaits it gets it
  return { child, temporary, lines, ended };
}

function demo(options: object, environment?: NodeJS.ProcessEnv): Promise<Run> {
  const program = `
    import { runDemo } from ${JSON.stringify(scenario)};
    const options = ${JSON.stringify({ json: false, pacingUs: PACING_US, ...options })};
    process.exitCode = await runDemo({ ...options, write: line => console.log(line) });`;
  return run(['--input-type=module', '--eval', program], environment);
}

/** Nothing is mounted below a directory, no process has it in its command line, and it is empty. */
async function expectNothingLeft(directory: string): Promise<void> {
  await expect.poll(() => readdir(directory)).toEqual([]);
  expect(await readFile('/proc/mounts', 'utf8')).not.toContain(directory);
  // What cleans up ends right after it has done so.
  await expect.poll(() => commandLinesWith(directory)).toEqual([]);
}

async function commandLinesWith(words: string): Promise<readonly string[]> {
  const commandLines = (await readdir('/proc'))
    .filter(name => /^\d+$/.test(name))
    .map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')); // a process may end meanwhile
  return (await Promise.all(commandLines)).filter(line => line.includes(words));
}

const inTurn = turns();

describeOnQemu('the demo', () => {
  beforeAll(buildCommand);

  test('tells people a short story in which every check holds, and leaves nothing', async () => {
    const { ended, lines, temporary } = await demo({});
    expect([await ended, lines.filter(line => line.includes('✗'))]).toEqual([0, []]);
    expect(lines.length).toBeLessThan(LINES_MAX);
    const story = lines.join('\n');
    expect(story).toMatch(/QEMU said of dev1: "(No space left on device|File too large)"/);
    expect(story).toContain('copy rolledBack');
    expect(story).toMatch(/copy committed, by "\w+": the guest was paused for [\d.]+ ms/);
    for (const promise of ['I1', 'I2', 'I3', 'I4', 'I5']) expect(story).toContain(`(${promise}): `);
    await expectNothingLeft(temporary);
  });

  test('runs out of room without rights too, and says everything as JSON', async () => {
    const { ended, lines } = await demo({ json: true, room: 'limit' });
    expect(await ended).toBe(0);
    const events = lines.map(line => JSON.parse(line) as { type: string });
    expect(events.filter(event => event.type === 'saga')).toMatchObject([
      { operation: 'snapshot', outcome: 'committed', error: null },
      {
        operation: 'copy',
        outcome: 'rolledBack',
        error: { code: 'JOB_FAILED', disk: 'dev1', cause: { desc: 'File too large' } },
      },
      { operation: 'copy', outcome: 'committed', error: null },
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'result', holds: true, failed: 0, disks: 3 });
  });

  test.each(
    inTurn([
      ['during the first copy', 'SIGINT', 130, /^2\. Copy/],
      ['while the guest starts', 'SIGTERM', 143, /^$/],
      ['during the second copy', 'SIGINT', 130, /^3\. Copy/],
    ] as const),
  )('leaves nothing when it is interrupted %s', async (_when, signal, status, at) => {
    const { child, ended, lines, temporary } = await demo({ json: false });
    if (at.source === '^$') await expect.poll(() => readdir(temporary)).not.toEqual([]);
    else await expect.poll(() => lines.some(line => at.test(line))).toBe(true);
    child.kill(signal);
    expect(await ended).toBe(status);
    expect(lines.join('\n')).toContain(`Stopped by ${signal}`);
    await expectNothingLeft(temporary);
  });

  test('leaves nothing when it is killed', async () => {
    const { child, ended, lines, temporary } = await demo({});
    await expect.poll(() => lines.some(line => line.startsWith('2. '))).toBe(true);
    child.kill('SIGKILL');
    expect(await ended).toBe(null);
    await expectNothingLeft(temporary);
  });

  test('fails and says why when QEMU does not come up, and leaves nothing', async () => {
    const { ended, lines, temporary } = await demo({ qemu: await deafQemu() });
    expect(await ended).toBe(1);
    expect(lines.join('\n')).toContain('The demo could not continue');
    await expectNothingLeft(temporary);
  });

  test('without QEMU says so, and is a failure only where QEMU is required', async () => {
    for (const [required, status] of [
      ['1', 1],
      ['', 0],
    ] as const) {
      const { ended, lines } = await demo({ qemu: '/nowhere/qemu' }, { BLOCKSAGA_REQUIRE_QEMU: required });
      expect(await ended).toBe(status);
      expect(lines).toEqual([expect.stringContaining('did not run')]);
    }
  });
});

/** A QEMU that is there but never comes up. */
async function deafQemu(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bsd-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const program = join(directory, 'qemu');
  await writeFile(program, '#!/bin/sh\n[ "$1" = --version ] || { echo no such machine >&2; exit 1; }\n', {
    mode: 0o700,
  });
  return program;
}

describeOnQemu('the examples', () => {
  test('embed.ts copies the disks of a guest and says what came of it', async () => {
    await using vm = await startGuestVm({ disks: 2, pacingUs: SLOW_PACING_US });
    const directory = join(vm.directory, 'new');
    await mkdir(directory);
    const pairs = [0, 1].map(disk => `disk${disk}=${join(directory, `disk${disk}.qcow2`)}`);
    const { ended, lines } = await run([
      'examples/embed.ts',
      join(directory, 'journal.db'),
      vm.monitor,
      ...pairs,
    ]);
    expect(await ended).toBe(0);
    expect(lines.at(-1)).toMatch(/^committed [\d.]+ *$/);
    expect(lines).toContainEqual(expect.stringContaining('"state":"switching.pauseGuest"'));
  });

  test('inspector.ts shows the saga and each block job of a demo guest, over the WebSocket', async () => {
    const { child, ended, lines, temporary } = await run(['examples/inspector.ts']);
    await expect.poll(() => lines.some(line => line.startsWith('committed'))).toBe(true);
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    for (const disk of [0, 1, 2]) {
      expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^job:dev${disk} +"ready"$`)));
    }
    await expectNothingLeft(temporary);
  });
});
