/** Block devices of this machine for a test: a file behind a loop device. It touches no device that it has not made. */
import { execFile, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { symlink, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What stands on a device before: nothing that reads as empty. */
const STALE = 0x5a;
const SECTOR_BYTES = 4096;

/** Why this machine lends no loop device; undefined when it does. */
export function whyNoLoopDevice(): string | undefined {
  const file = `${process.env['TMPDIR'] ?? '/tmp'}/blocksaga-loop-${process.pid}`;
  writeFileSync(file, Buffer.alloc(SECTOR_BYTES));
  const { status, stdout, stderr, error } = spawnSync('losetup', ['-f', '--show', file], {
    encoding: 'utf8',
  });
  if (status === 0) spawnSync('losetup', ['-d', stdout.trim()]);
  rmSync(file, { force: true });
  return status === 0 ? undefined : `this machine lends no loop device: ${error?.message ?? stderr.trim()}`;
}

/** Makes one that `name` leads to; it is given back with the stack. */
export async function lendDevice(
  name: string,
  sizeBytes: number,
  stack: AsyncDisposableStack,
): Promise<void> {
  const behind = `${name}.device`;
  await writeFile(behind, Buffer.alloc(sizeBytes, STALE));
  const { stdout } = await run('losetup', ['-f', '--show', behind]);
  const device = stdout.trim();
  stack.defer(async () => {
    await run('losetup', ['-d', device]);
  });
  await symlink(device, name);
}
