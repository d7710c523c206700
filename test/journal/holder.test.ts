import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive, RELEASED, thisProcess } from '../../src/journal/holder.ts';

let proc = '';
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'blocksaga-proc-'));
});
afterEach(() => rmSync(proc, { recursive: true }));

/** A made-up /proc, so that what a real one rarely shows can be shown. */
function writeProc(bootId: string, stats: Readonly<Record<number, string>>): void {
  mkdirSync(join(proc, 'sys/kernel/random'), { recursive: true });
  writeFileSync(join(proc, 'sys/kernel/random/boot_id'), `${bootId}\n`);
  for (const [pid, stat] of Object.entries(stats)) {
    mkdirSync(join(proc, pid));
    writeFileSync(join(proc, pid, 'stat'), stat);
  }
}

function stat(pid: number, name: string, state: string, startedAt: number): string {
  return `${pid} (${name}) ${state} 1 1 1 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 11 0 ${startedAt} 1000 100 18446744073709551615\n`;
}

describe('a process', () => {
  it('is alive to itself, and not when it started at another time', () => {
    expect(isAlive(thisProcess())).toBe(true);
    expect(isAlive({ ...thisProcess(), startedAt: 'before' })).toBe(false);
  });

  it('of another boot, host or container cannot be seen from here', () => {
    expect(isAlive({ ...thisProcess(), bootId: 'another boot' })).toBeUndefined();
    expect(isAlive({ ...thisProcess(), namespace: 'pid:[1]' })).toBeUndefined();
  });

  it('is dead when its saga was given up', () => {
    expect(isAlive(RELEASED)).toBe(false);
  });

  it('is alive while it runs and dead after it was killed', async () => {
    const script = `import { thisProcess } from ${JSON.stringify(new URL('../../src/journal/holder.ts', import.meta.url).href)};
      console.log(JSON.stringify(thisProcess())); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [chunk] = await once(child.stdout, 'data');
    const holder = JSON.parse(String(chunk));
    expect(holder.pid).toBe(child.pid);
    expect(isAlive(holder)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isAlive(holder)).toBe(false);
  });

  it('is told from a later one with the same id by its start time, whatever its command is called', () => {
    writeProc('b1', {
      [process.pid]: stat(process.pid, 'node', 'R', 50),
      4711: stat(4711, 'a) b (c) S 1 2', 'S', 77),
    });
    expect(thisProcess(proc)).toEqual({ pid: process.pid, bootId: 'b1', startedAt: '50' });
    expect(isAlive({ pid: 4711, bootId: 'b1', startedAt: '77' }, proc)).toBe(true);
    expect(isAlive({ pid: 4711, bootId: 'b1', startedAt: '76' }, proc)).toBe(false);
  });

  it.each(['Z', 'X'])('is dead in state %s, when only its parent has not noticed yet', state => {
    writeProc('b1', {
      [process.pid]: stat(process.pid, 'node', 'R', 50),
      4711: stat(4711, 'node', state, 77),
    });
    expect(isAlive({ pid: 4711, bootId: 'b1', startedAt: '77' }, proc)).toBe(false);
  });

  it('counts as alive when it exists and /proc hides it, and as dead when it does not exist', () => {
    writeProc('b1', { [process.pid]: stat(process.pid, 'node', 'R', 50) });
    expect(isAlive({ pid: process.ppid, bootId: 'b1', startedAt: '1' }, proc)).toBe(true);
    expect(isAlive({ pid: 2 ** 22 + 1, bootId: 'b1', startedAt: '1' }, proc)).toBe(false);
  });

  it('is known by id alone where there is no /proc', () => {
    const self = thisProcess(proc);
    expect(self.pid).toBe(process.pid);
    expect(isAlive(self, proc)).toBe(true);
    expect(isAlive({ ...self, startedAt: '1' }, proc)).toBe(false);
    expect(isAlive({ ...self, pid: process.ppid }, proc)).toBe(true);
    expect(isAlive({ ...self, pid: 2 ** 22 + 1 }, proc)).toBe(false);
  });

  it.runIf(existsSync('/proc/self/stat'))('has the boot id that the kernel gives', () => {
    expect(thisProcess().bootId).toBe(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  });
});
