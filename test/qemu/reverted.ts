/** Guests that have gone on since a snapshot, and what their disks are to show once they are reverted to it. */
import { execFile } from 'node:child_process';
import { copyFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import type { Stage } from './witnessed.ts';

const run = promisify(execFile);

/** Takes a snapshot, lets the guest write to the overlays, stops it; gives the images below, with copies of them as they were then. */
export async function snapshotAndGoOn(on: Stage): Promise<readonly string[]> {
  const saga = await on.engine.snapshot(on.snapshotAll(index => ({ overlay: snapFile(on, index) })));
  expect((await saga.result).outcome).toBe('committed');
  await on.vm.awaitWrites(12);
  await on.vm.witness.execute('stop');
  return Promise.all(
    on.vm.disks.map(async ({ file }) => {
      await copyFile(file, `${file}.then`);
      return file;
    }),
  );
}

/** The overlay of that snapshot. */
export function snapFile(on: Stage, index: number): string {
  return on.newFile(index).replace('new', 'snap');
}

/** The overlay over the base reads as the base did when the snapshot was taken. */
export async function expectSame(overlay: string, base = ''): Promise<void> {
  const compare = ['compare', '-f', 'qcow2', '-F', 'qcow2', overlay, `${base}.then`];
  expect((await run('qemu-img', compare)).stdout).toContain('identical');
}
