/**
 * A process whose output leads nowhere (a full file system, a closed pipe, a reader that does not read), or in which an
 * error comes out of nowhere while it holds the guest: judged by its exit status and by asking QEMU.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { often, turns } from '../tiers/tier.ts';
import { askCommand, buildCommand, runCommand } from './cli-process.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const ROOT = join(import.meta.dirname, '../..');
const ROUNDS = often(1, 20);

const inTurn = turns();

async function guest(): Promise<GuestVm> {
  const vm = await startGuestVm({ disks: 2, sizeBytes: 8 * 1024 * 1024, pacingUs: SLOW_PACING_US });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  return vm;
}

async function fronts(vm: GuestVm): Promise<readonly string[]> {
  const blocks = (await vm.witness.execute('query-block')) as { inserted: { file: string } }[];
  return blocks.map(block => block.inserted.file);
}

async function isRunning(vm: GuestVm): Promise<boolean> {
  return ((await vm.witness.execute('query-status')) as { running: boolean }).running;
}

function images(vm: GuestVm, round: string): readonly string[] {
  return [0, 1].map(disk => join(vm.directory, `new${round}-${disk}.qcow2`));
}

function copyArguments(vm: GuestVm, files: readonly string[]): readonly string[] {
  return ['copy', '--qmp', vm.monitor, ...files.flatMap((file, at) => ['--disk', `dev${at},to=${file}`])];
}

/** Starts the command with a shell, which does with its output what `redirection` says. */
function start(
  redirection: string,
  args: readonly string[],
  {
    preload,
    program = join(ROOT, 'bin/blocksaga.js'),
    state = temporaryFolder(),
    env = {},
  }: {
    readonly preload?: string;
    readonly program?: string;
    readonly state?: string;
    readonly env?: NodeJS.ProcessEnv;
  } = {},
): ChildProcess {
  const imported = preload === undefined ? [] : ['--import', preload];
  const command = [process.execPath, ...imported, program, ...args];
  const child = spawn(
    'sh',
    ['-c', redirection.includes('$@') ? redirection : `exec "$@" ${redirection}`, 'sh', ...command],
    {
      env: { ...process.env, ...env, XDG_STATE_HOME: state, CI: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  onTestFinished(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  });
  return child;
}

/** What was left open is gone on with to one end for all disks. */
async function settle(vm: GuestVm, state: string): Promise<void> {
  const resumed = await askCommand(state, 'resume', '--all');
  expect([0, 1], resumed.err).toContain(resumed.status);
  const jobs = (await vm.witness.execute('query-jobs')) as readonly unknown[];
  const places = new Set((await fronts(vm)).map(file => file.replace(/-\d\.qcow2$/, '')));
  expect([jobs, places.size === 1 || !(await fronts(vm)).some(file => file.includes('/new'))]).toEqual([
    [],
    true,
  ]);
}

function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
}

/** What happens in the process right behind `stop`, when the guest is paused: `act` is JavaScript. */
function inThePause(act: string): string {
  const file = join(temporaryFolder(), 'preload.mjs');
  writeFileSync(
    file,
    `import { Socket } from 'node:net';
    const { write } = Socket.prototype;
    let done = false;
    Socket.prototype.write = function (chunk, ...rest) {
      if (!done && String(chunk).includes('"execute":"stop"')) {
        done = true;
        setTimeout(() => { ${act} }, 1);
      }
      return write.call(this, chunk, ...rest);
    };`,
  );
  return file;
}

describeOnQemu('a process that cannot print', () => {
  beforeAll(buildCommand);

  test.each([
    ['', often(1, 4)],
    ['--json', ROUNDS],
  ] as const)('commits on a full file system: %s, %i times', async (json, rounds) => {
    const vm = await guest();
    for (let round = 0; round < rounds; round += 1) {
      const files = images(vm, `${round}`);
      const child = start('>/dev/full 2>/dev/full', [...copyArguments(vm, files), ...(json ? [json] : [])]);
      expect([await ended(child), await isRunning(vm), await fronts(vm)]).toEqual([0, true, files]);
    }
  });

  test.each(
    inTurn(
      [
        ['both are closed', '>&- 2>&-'],
        // 131072 blocks of 512 bytes are 64 MiB, which the file has already; journal and images stay below.
        ['its file may not grow', 'ulimit -f 131072; exec "$@" >>"$XDG_STATE_HOME/out"'],
        ['standard output is closed', '>&-'],
        ['the reader has gone', '| true'],
      ] as const,
      2,
    ),
  )('commits where %s', async (_title, redirection) => {
    const vm = await guest();
    for (let round = 0; round < often(1, 3); round += 1) {
      const files = images(vm, `${round}`);
      const state = temporaryFolder();
      writeFileSync(join(state, 'out'), '');
      truncateSync(join(state, 'out'), 64 * 1024 * 1024);
      const child = start(redirection, [...copyArguments(vm, files), '--json'], { state });
      // The status of a pipe is that of its reader.
      expect([await ended(child), await isRunning(vm), await fronts(vm)]).toEqual([0, true, files]);
    }
  });

  test('does not keep the guest waiting for a reader that does not read', async () => {
    const vm = await guest();
    const files = images(vm, 'slow');
    // A pipe that holds one page is full after some lines.
    const child = start('', [...copyArguments(vm, files), '--json']);
    child.stdout?.pause();
    await expect.poll(() => fronts(vm)).toEqual(files);
    await expect.poll(() => isRunning(vm)).toBe(true);
    child.stdout?.resume();
    expect(await ended(child)).toBe(0);
  });
});

describeOnQemu('an error out of nowhere while the guest is paused', () => {
  beforeAll(buildCommand);

  test.each(
    inTurn(
      [
        ['no error at all', `throw undefined`],
        ['again and again', `setInterval(() => { throw new Error('again') }, 1)`],
        ['uncaught', `throw new Error('out of nowhere')`],
        ['in a promise', `Promise.reject(new RangeError('out of range'))`],
      ] as const,
      2,
    ),
  )('lets it run first: %s', async (_title, act) => {
    const vm = await guest();
    const trouble = { preload: inThePause(act), state: temporaryFolder() };
    for (let round = 0; round < often(1, 5); round += 1) {
      const child = start('', copyArguments(vm, images(vm, `${round}`)), trouble);
      expect([await ended(child), await isRunning(vm)]).toEqual([70, true]);
      await vm.awaitWrites(5);
      await settle(vm, trouble.state);
    }
  });

  test.each(inTurn(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'], 2))('so does %s, twice', async signal => {
    const vm = await guest();
    const twice = `process.kill(process.pid, '${signal}'); setTimeout(() => process.kill(process.pid, '${signal}'), 1)`;
    const trouble = { preload: inThePause(twice), state: temporaryFolder() };
    for (let round = 0; round < often(1, 5); round += 1) {
      const child = start('', copyArguments(vm, images(vm, `${round}`)), trouble);
      expect([0, 1, 3]).toContain(await ended(child));
      expect(await isRunning(vm)).toBe(true);
      await settle(vm, trouble.state);
    }
  });

  test('so does one of the program itself, in the middle of a step', async () => {
    const vm = await guest();
    // What is replaced in front of it are the modules that the command is bundled from.
    const unbundled = { preload: breakingClient(), program: join(ROOT, 'dist/cli/main.js') };
    const child = start('', copyArguments(vm, images(vm, 'own')), unbundled);
    let said = '';
    child.stderr?.on('data', text => {
      said += String(text);
    });
    expect([await ended(child), await isRunning(vm)]).toEqual([70, true]);
    expect(said).toMatch(/TypeError: reading a member.*This is a bug of blocksaga/s);
  });
});

/** Makes the step behind the pause fail with what is no error of ours: a broken assumption. */
function breakingClient(): string {
  const file = join(temporaryFolder(), 'breaking.mjs');
  const target = join(ROOT, 'dist/steps/mirror/end-mirrors-in-place.js');
  writeFileSync(
    file,
    `const { endMirrorsInPlace } = await import(${JSON.stringify(target)});
    endMirrorsInPlace.do = () => { throw new TypeError('reading a member of undefined'); };`,
  );
  return file;
}

describeOnQemu('a program of --on-commit that hangs', () => {
  beforeAll(buildCommand);

  test('ends when Ctrl-C is pressed twice, and no value of its environment is in the journal', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const program = join(vm.directory, 'told.sh');
    writeFileSync(
      program,
      `#!/bin/sh\ntrap '' INT TERM\necho $$ > ${program}.pid.new; mv ${program}.pid.new ${program}.pid\nwhile :; do sleep 1; done\n`,
    );
    chmodSync(program, 0o755);
    const env = { ON_COMMIT_SECRET: 'hush-hush' };
    const args = [
      ...copyArguments(vm, images(vm, 'told')),
      '--on-commit',
      program,
      '--on-commit-env',
      'ON_COMMIT_SECRET',
    ];
    const child = start('', args, { state, env });
    await expect.poll(() => existsSync(`${program}.pid`)).toBe(true);
    const pid = Number(readFileSync(`${program}.pid`, 'utf8'));
    child.kill('SIGINT');
    child.kill('SIGINT');
    await new Promise(resolve => setTimeout(resolve, 100));
    child.kill('SIGINT');
    expect(await ended(child)).toBe(3);
    await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
    expect(await isRunning(vm)).toBe(true);
    const journal = readdirSync(join(state, 'blocksaga')).map(name =>
      readFileSync(join(state, 'blocksaga', name), 'latin1'),
    );
    expect(journal.join('')).toContain('ON_COMMIT_SECRET');
    expect(journal.join('')).not.toContain(env.ON_COMMIT_SECRET);
    const resumed = await runCommand(state, 'resume', '--all', '--on-commit', '/bin/true');
    expect([resumed.status, await fronts(vm)]).toEqual([0, images(vm, 'told')]);
  });
});
