/**
 * What an outsider sees of a guest: asked over the witness monitor and read from the file system, never from our own
 * client or engine. It looks and changes nothing.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestVm } from './guest-vm.ts';

/** The image in front of one disk, and what is below it. */
export interface DiskSight {
  readonly device: string;
  readonly node: string;
  /** Files, front first. */
  readonly chain: readonly string[];
}

/** One look at a guest. */
export interface Sight {
  readonly disks: readonly DiskSight[];
  readonly running: boolean;
  readonly jobs: readonly string[];
  readonly nodes: readonly string[];
  /** Objects that a client added (`/objects` in QEMU's object tree). */
  readonly objects: readonly string[];
  readonly bitmaps: number;
  /** Every file in the watched directories. */
  readonly files: readonly string[];
}

interface Image {
  readonly filename: string;
  readonly 'backing-image'?: Image;
}
interface Block {
  readonly qdev?: string;
  readonly inserted?: { readonly 'node-name': string; readonly image: Image };
}
interface Node {
  readonly 'node-name': string;
  readonly 'dirty-bitmaps'?: readonly unknown[];
}

/** Looks at a guest and at some directories. Throws what the witness throws when QEMU is gone. */
export async function lookAt(vm: GuestVm, directories: readonly string[]): Promise<Sight> {
  const ask = async <T>(command: string, args?: object) => (await vm.witness.execute(command, args)) as T;
  const blocks = await ask<readonly Block[]>('query-block');
  const nodes = await ask<readonly Node[]>('query-named-block-nodes');
  const jobs = await ask<readonly { readonly id: string }[]>('query-jobs');
  const objects = await ask<readonly { readonly name: string }[]>('qom-list', { path: '/objects' });
  const status = await ask<{ readonly running: boolean }>('query-status');
  return {
    disks: vm.disks.map(({ device }) => {
      const block = blocks.find(({ qdev }) => qdev?.split('/').includes(device));
      return {
        device,
        node: block?.inserted?.['node-name'] ?? '',
        chain: block?.inserted === undefined ? [] : chainOf(block.inserted.image),
      };
    }),
    running: status.running,
    jobs: jobs.map(job => job.id),
    nodes: nodes.map(node => node['node-name']).sort(),
    objects: objects.map(object => object.name).sort(),
    bitmaps: nodes.reduce((sum, node) => sum + (node['dirty-bitmaps']?.length ?? 0), 0),
    files: (await Promise.all(directories.map(filesIn))).flat().sort(),
  };
}

function chainOf(image: Image): readonly string[] {
  const below = image['backing-image'];
  return [image.filename, ...(below === undefined ? [] : chainOf(below))];
}

async function filesIn(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries.filter(entry => entry.isFile()).map(entry => join(directory, entry.name));
}
