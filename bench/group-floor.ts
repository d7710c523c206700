/**
 * The floor under the pause of a group: the bare commands to the same QEMUs, by the barest connection there is, with the overlays opened
 * before. `stop` and the transaction go to all at once, and `cont` when the last has answered; no journal, no look, no saga.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { GuestVm } from '../src/demo/guest-vm.ts';
import { pauseOf } from './next-pause.ts';

interface Block {
  readonly inserted?: { readonly file: string; readonly 'node-name': string };
}

let images = 0;

/** Opens an overlay over the guest's one disk; gives the action that puts it in front. */
async function opened({ witness, directory }: GuestVm, sizeBytes: number) {
  images += 1;
  const [name, file] = [`floor${images}`, join(directory, `floor${images}.qcow2`)];
  const [block] = (await witness.execute('query-block')) as readonly Block[];
  const front = block?.inserted;
  if (front === undefined) throw new Error('the guest has no disk');
  const backing = ['-u', '-b', front.file, '-F', 'qcow2'];
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...backing, file, `${sizeBytes}`]);
  const image = { driver: 'file', filename: file };
  await witness.execute('blockdev-add', {
    ...{ driver: 'qcow2', 'node-name': name },
    ...{ file: image, backing: null },
  });
  return { type: 'blockdev-snapshot', data: { node: front['node-name'], overlay: name } };
}

/** The longest pause of any of them. */
export async function floorOf(vms: readonly GuestVm[], sizeBytes: number): Promise<number> {
  const actions: object[] = [];
  for (const vm of vms) actions.push(await opened(vm, sizeBytes));
  const pauses = vms.map(pauseOf);
  const taken = vms.flatMap(({ witness }, at) => [
    witness.execute('stop'),
    witness.execute('transaction', { actions: [actions[at]] }),
  ]);
  await Promise.all(taken);
  await Promise.all(vms.map(({ witness }) => witness.execute('cont')));
  for (const { witness } of vms) await witness.execute('query-status'); // its event has come in front of that
  return Math.max(...pauses.map(pause => pause()));
}
