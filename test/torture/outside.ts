/**
 * What there is, asked from outside: by QEMU's answers on a monitor that blocksaga does not use, and by the file system. It
 * changes nothing and judges nothing.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, readCut } from '../../src/demo/ordered-cut.ts';

/** What QEMU and the file system show at one moment. */
export interface Outside {
  readonly status: string;
  /** By disk: the files of its chain, front first. */
  readonly chains: readonly (readonly string[])[];
  readonly nodes: readonly {
    readonly name: string;
    readonly file: string;
    readonly bitmaps: readonly Bitmap[];
  }[];
  readonly jobs: readonly string[];
  readonly objects: readonly string[];
  readonly files: readonly string[];
  /** The highest write that the guest was told was done. */
  readonly acknowledged: number;
  /** The newest write in the images right below those in front, where it was looked at. */
  readonly below?: number;
}

/** One dirty bitmap; a job's own has no name. */
interface Bitmap {
  readonly name?: string;
  readonly recording: boolean;
}

interface Image {
  readonly filename: string;
  readonly 'backing-image'?: Image;
}

/** Asks a guest whose QEMU lives. */
export async function lookAround(vm: GuestVm): Promise<Outside> {
  const ask = async <T>(command: string, args: object = {}) => (await vm.witness.execute(command, args)) as T;
  const acknowledged = vm.acknowledged();
  const { status } = await ask<{ status: string }>('query-status');
  const blocks =
    await ask<readonly { readonly qdev?: string; readonly inserted?: { readonly image: Image } }[]>(
      'query-block',
    );
  const nodes = await ask<
    readonly {
      readonly 'node-name': string;
      readonly file: string;
      readonly 'dirty-bitmaps'?: readonly Bitmap[];
    }[]
  >('query-named-block-nodes', { flat: true });
  const jobs = await ask<readonly { readonly id: string }[]>('query-jobs');
  const objects = await ask<readonly { readonly name: string; readonly type: string }[]>('qom-list', {
    path: '/objects',
  });
  const chains = vm.disks.map(({ device }) => {
    const chain: string[] = [];
    const block = blocks.find(({ qdev }) => qdev?.split('/').includes(device));
    for (let image = block?.inserted?.image; image !== undefined; image = image['backing-image']) {
      chain.push(fileOf(image.filename));
    }
    return chain;
  });
  return {
    status,
    chains,
    nodes: nodes.map(node => ({
      name: node['node-name'],
      file: node.file,
      // What they count changes with every write of the guest.
      bitmaps: (node['dirty-bitmaps'] ?? []).map(({ name, recording }) => ({
        ...(name === undefined ? {} : { name }),
        recording,
      })),
    })),
    jobs: jobs.map(job => job.id),
    objects: objects.map(object => object.name).sort(),
    files: await filesIn(vm.directory),
    acknowledged,
  };
}

/** The file of an image, also where QEMU tells of options that no name has, as an overlay that was opened without what is below it. */
export function fileOf(filename: string): string {
  if (!filename.startsWith('json:')) return filename;
  type Options = { readonly filename?: string; readonly file?: Options };
  let options: Options | undefined = JSON.parse(filename.slice('json:'.length));
  while (options !== undefined && options.filename === undefined) options = options.file;
  return options?.filename ?? filename;
}

/** Every file in the guest's directory. */
export async function filesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory)).map(name => join(directory, name)).sort();
}

/** The newest write in the images right below those in front; 0 where a disk stands on none. */
export async function newestBelow({ chains }: Outside): Promise<number> {
  const below = chains.flatMap(chain => chain[1] ?? []);
  if (below.length < chains.length) return 0;
  return checkCut(
    await readCut(
      below.map(file => ({ file })),
      { shared: true },
    ),
  ).upTo;
}
