/**
 * What QEMU and the file system show, asked on the witness's monitor; and a way to stand in the saga's way there.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestVm } from '../../src/demo/guest-vm.ts';

/** What QEMU and the file system show at one moment. */
export interface World {
  readonly status: string;
  /** By disk: the node under the device, and the files of its chain, front first. */
  readonly fronts: readonly { readonly node: string; readonly chain: readonly string[] }[];
  readonly nodes: readonly { readonly name: string; readonly file: string }[];
  readonly jobs: readonly string[];
  readonly objects: readonly string[];
  readonly files: readonly string[];
}

/** Asks QEMU on the witness's monitor, and lists the directories. Disks that have been unplugged are on nothing. */
export async function lookAt(
  vm: GuestVm,
  directories: readonly string[],
  unplugged: readonly string[] = [],
): Promise<World> {
  const ask = async <T>(command: string, args: object = {}) => (await vm.witness.execute(command, args)) as T;
  const { status } = await ask<{ status: string }>('query-status');
  const blocks = await ask<readonly Block[]>('query-block');
  const nodes = await ask<readonly Node[]>('query-named-block-nodes', {
    flat: true,
  });
  const jobs = await ask<readonly { id: string }[]>('query-jobs');
  const objects = await ask<readonly { name: string; type: string }[]>('qom-list', { path: '/objects' });
  const lists = await Promise.all(
    directories.map(async directory => (await readdir(directory)).map(name => join(directory, name))),
  );
  return {
    status,
    fronts: vm.disks.map(({ device }) =>
      unplugged.includes(device) ? { node: '', chain: [] } : frontOf(blocks, device),
    ),
    nodes: nodes.filter(isNoFilter).map(node => ({ name: node['node-name'], file: plainName(node.file) })),
    jobs: jobs.map(job => job.id),
    // QEMU lists them in the order of a hash table, which changes with its size.
    objects: objects.flatMap(({ name, type }) => (type === 'string' ? [] : [name])).toSorted(),
    files: lists.flat().sort(),
  };
}

interface Block {
  readonly qdev?: string;
  readonly inserted?: { readonly 'node-name': string; readonly image: Image };
}

interface Node {
  readonly 'node-name': string;
  readonly drv: string;
  readonly file: string;
}

interface Image {
  readonly filename: string;
  readonly 'backing-image'?: Image;
}

function frontOf(blocks: readonly Block[], device: string): World['fronts'][number] {
  const inserted = blocks.find(block => block.qdev?.split('/').includes(device))?.inserted;
  if (inserted === undefined) throw new Error(`QEMU shows nothing in front of ${device}`);
  const chain: string[] = [];
  for (let image: Image | undefined = inserted.image; image; image = image['backing-image']) {
    if (isNoFilter({ file: image.filename })) chain.push(plainName(image.filename));
  }
  return { node: inserted['node-name'], chain };
}

/** The administrator's filters are looked at by the tests that are about them; a saga's has no place in a world at rest. */
function isNoFilter({ 'node-name': node = '', file: name }: Pick<Node, 'file'> & Partial<Node>): boolean {
  return (
    node.startsWith('bs-') || !/^json:.*"driver": "(throttle|copy-on-read)"[^{]*("file": \{.*)?$/.test(name)
  );
}

/** The file behind a name that QEMU makes up when an image was opened with other options than its header says. */
function plainName(name: string): string {
  if (!name.startsWith('json:')) return name;
  const { file } = JSON.parse(name.slice('json:'.length)) as {
    readonly file?: { readonly filename?: string };
  };
  return file?.filename ?? name;
}

export const SPOILER = 'spoiler';

export async function spoil(vm: GuestVm, file: string, unshared: string): Promise<void> {
  const nodes = (await vm.witness.execute('query-named-block-nodes', { flat: true })) as readonly Node[];
  const image = nodes.find(node => node.file.includes(file) && node.drv !== 'file')?.['node-name'];
  if (image === undefined) throw new Error(`no node shows ${file}`);
  await vm.witness.execute('blockdev-add', {
    driver: 'blkdebug',
    'node-name': SPOILER,
    image,
    'unshare-child-perms': [unshared],
  });
}
