/**
 * Two real guests that write in turn, each waiting for the other's word over a serial line: write s of the one begins when write
 * s of the other has completed. Images of one instant are at most one write apart, the first guest ahead.
 */
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, readCut } from '../../src/demo/ordered-cut.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';

/** Both guests, writing in turn. */
export async function twoInTurn(): Promise<readonly [GuestVm, GuestVm]> {
  const line = join(temporaryFolder(), 'line');
  const start = async (turn: 'first' | 'second', serial: string) => {
    const extraArguments = ['-chardev', serial, '-device', 'isa-serial,chardev=line'];
    const vm = await startGuestVm({
      disks: 1,
      sizeBytes: 16 * 1024 * 1024,
      turn,
      paused: true,
      extraArguments,
    });
    onTestFinished(() => vm[Symbol.asyncDispose]());
    return vm;
  };
  const first = await start('first', `socket,id=line,path=${line},server=on,wait=off`);
  const second = await start('second', `socket,id=line,path=${line}`);
  for (const vm of [second, first]) await vm.witness.execute('cont');
  await Promise.all([first, second].map(vm => vm.awaitWrites(20)));
  return [first, second];
}

/** How far each image goes. */
export async function cutOf(images: readonly string[]): Promise<readonly number[]> {
  return Promise.all(
    images.map(async file => {
      const { consistent, upTo, why } = checkCut(
        await readCut([{ file, format: 'qcow2' }], { shared: true }),
      );
      expect({ file, consistent, why }).toMatchObject({ consistent: true });
      return upTo;
    }),
  );
}

/** Nothing in the image of one guest that waited for a word which the other's image has not given. */
export function isOneInstant([first = 0, second = 0]: readonly number[]): boolean {
  return first === second || first === second + 1;
}
