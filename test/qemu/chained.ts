/**
 * A guest on a stage whose disks have a past: each stands on a chain of images, and the guest has written to every one of
 * them. What a merge comes to is asked of QEMU on the second monitor and read from the images when QEMU has ended.
 */
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { readCut } from '../../src/demo/ordered-cut.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import type { SagaResult } from '../../src/index.ts';
import { endGuest, expectSets, expectUnused, explain, imagesOf, type Stage } from './witnessed.ts';

/** A stage with the files of each disk's chain, front first. */
export interface Chained extends Stage {
  readonly chains: readonly (readonly string[])[];
}

const WRITES_BETWEEN = 6;

/** Puts so many overlays on every disk, one after the other, with writes in between; by bare QMP, not by the engine. */
export async function withChains(on: Stage, overlays: number): Promise<Chained> {
  const { vm } = on;
  for (let layer = 1; layer <= overlays; layer += 1) {
    const fronts = (await on.look()).fronts;
    const actions = vm.disks.map((_, index) => ({
      type: 'blockdev-snapshot-sync',
      data: {
        'node-name': fronts[index]?.node,
        'snapshot-node-name': `snap${layer}-${index}`,
        'snapshot-file': join(on.directory, `snap${layer}-${index}.qcow2`),
        format: 'qcow2',
      },
    }));
    await vm.witness.execute('transaction', { actions });
    await vm.awaitWrites(WRITES_BETWEEN);
  }
  const before = await on.look();
  return {
    ...on,
    before,
    chains: before.fronts.map(front => front.chain),
    acknowledgedBefore: vm.acknowledged(),
  };
}

/** All disks by their devices, with what differs. */
export function disksOf<D extends object>({ vm }: Stage, change: (index: number) => D) {
  return vm.disks.map(({ device }, index) => ({ disk: device, ...change(index) }));
}

/**
 * The saga is committed; QEMU, the headers, and the result tell these chains, nothing is lost, and no file but the `removed`
 * ones is gone or new.
 */
export async function expectMerged(
  on: Chained,
  result: SagaResult,
  chains: readonly (readonly string[])[],
  removed: readonly string[] = [],
): Promise<void> {
  expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
  expect(result.disks.map(disk => disk.after?.chain)).toEqual(chains);
  await expectChains(on, chains, removed);
}

/** The disks stand on these chains, as QEMU and the headers tell, nothing is lost, and nothing is left. */
export async function expectChains(
  on: Chained,
  chains: readonly (readonly string[])[],
  removed: readonly string[] = [],
): Promise<void> {
  const now = await on.look();
  expect(now.fronts.map(front => front.chain)).toEqual(chains);
  await expectUnused(on, now);
  expect(now.files).toEqual(on.before.files.filter(file => !removed.includes(file)));
  await endGuest(on);
  for (const chain of chains) expect(await chainInHeaders(chain[0] ?? '')).toEqual(chain);
  await expectSets(on, { front: imagesOf(chains.map(chain => chain[0] ?? '')) });
}

/** The files of a chain as the headers say it, front first. */
export async function chainInHeaders(file: string): Promise<readonly string[]> {
  const said = await qemuImg('info', '--backing-chain', '--output=json', '-f', 'qcow2', file);
  return (JSON.parse(said) as readonly { readonly filename: string }[]).map(image => image.filename);
}

/** What the image of a file names as the one below it, word for word; undefined for none. */
export async function storedBacking(file: string): Promise<string | undefined> {
  const said = await qemuImg('info', '--output=json', '-f', 'qcow2', file);
  return (JSON.parse(said) as { readonly 'backing-filename'?: string })['backing-filename'];
}

/** Whether an image alone, without its chain, holds any of the guest's writes. */
export async function newestIn(file: string): Promise<number> {
  const cut = await readCut(imagesOf([file]));
  return cut.disks[0]?.newest ?? 0;
}

/** `disk0.qcow2` for `/tmp/x/disk0.qcow2`, as headers name an image beside them. */
export const beside = (file: string): string => basename(file);
