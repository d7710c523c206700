/** Makes a guest what an operation finds: its disks on chains, with bitmaps, at rest. Bare QMP and qemu-img, no engine. */
import { join } from 'node:path';
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { copyOf, mirrorOf } from './endings.ts';
import type { Operation, Scene } from './operation.ts';

const WRITES_BETWEEN = 12;
const BITMAP_GRANULARITY_BYTES = 128 * 1024;

/** The bitmap that every disk of a guest with bitmaps has. */
export const BITMAP = 'backup';

/** Sets all of a scene but that QEMU has ended. */
export async function setScene(vm: GuestVm, { overlays = 0, bitmaps, rests }: Scene): Promise<void> {
  for (let layer = 1; layer <= overlays; layer += 1) {
    const actions = (await frontNodes(vm)).map((node, disk) => ({
      type: 'blockdev-snapshot-sync',
      data: {
        'node-name': node,
        'snapshot-node-name': `layer${layer}-${disk}`,
        'snapshot-file': join(vm.directory, `layer${layer}-${disk}.qcow2`),
        format: 'qcow2',
      },
    }));
    await vm.witness.execute('transaction', { actions });
    await vm.awaitWrites(WRITES_BETWEEN);
  }
  if (bitmaps) {
    for (const node of await frontNodes(vm)) {
      const bitmap = { node, name: BITMAP, granularity: BITMAP_GRANULARITY_BYTES, persistent: true };
      await vm.witness.execute('block-dirty-bitmap-add', bitmap);
    }
    await vm.awaitWrites(WRITES_BETWEEN);
  }
  if (rests === 'stopped') await vm.witness.execute('stop');
}

/** Makes what one saga is to find besides: mirrors whose own chains are still to be copied. */
export async function setTargets(
  vm: GuestVm,
  { mirrors }: Operation,
  files: readonly string[],
): Promise<void> {
  if (mirrors !== 'ownChain') return;
  for (const [disk, { sizeBytes }] of vm.disks.entries()) {
    const file = files[disk] ?? '';
    const size = String(sizeBytes);
    const below = ['-u', '-b', copyOf(file), '-F', 'qcow2'];
    await qemuImg('create', '-q', '-f', 'qcow2', ...below, mirrorOf(file), size);
  }
}

async function frontNodes(vm: GuestVm): Promise<readonly string[]> {
  const blocks = (await vm.witness.execute('query-block')) as readonly {
    readonly qdev?: string;
    readonly inserted?: { readonly 'node-name': string };
  }[];
  return vm.disks.map(({ device }) => {
    const block = blocks.find(({ qdev }) => qdev?.split('/').includes(device));
    return block?.inserted?.['node-name'] ?? '';
  });
}
