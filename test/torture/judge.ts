/**
 * What a round left behind, judged from outside: by QEMU's answers on a monitor that blocksaga does not use, by the file
 * system and by what is in the images. It never asks the engine, and changes nothing.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import { type CutImage, checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import type { JournalRecord } from '../../src/index.ts';

/** What QEMU and the file system show at one moment. */
export interface Outside {
  readonly status: string;
  /** By disk: the files of its chain, front first. */
  readonly chains: readonly (readonly string[])[];
  readonly nodes: readonly { readonly name: string; readonly file: string; readonly bitmaps: number }[];
  readonly jobs: readonly string[];
  readonly objects: readonly string[];
  readonly files: readonly string[];
  /** The highest write that the guest was told was done. */
  readonly acknowledged: number;
}

/** How many writes the guest must still be able to do. */
const WRITES_AFTERWARDS = 12;

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
      readonly 'dirty-bitmaps'?: readonly unknown[];
    }[]
  >('query-named-block-nodes', { flat: true });
  const jobs = await ask<readonly { readonly id: string }[]>('query-jobs');
  const objects = await ask<readonly { readonly name: string; readonly type: string }[]>('qom-list', {
    path: '/objects',
  });
  return {
    status,
    chains: vm.disks.map(({ device }) => {
      const chain: string[] = [];
      const block = blocks.find(({ qdev }) => qdev?.split('/').includes(device));
      for (let image = block?.inserted?.image; image !== undefined; image = image['backing-image']) {
        chain.push(image.filename);
      }
      return chain;
    }),
    nodes: nodes.map(node => ({
      name: node['node-name'],
      file: node.file,
      bitmaps: node['dirty-bitmaps']?.length ?? 0,
    })),
    jobs: jobs.map(job => job.id),
    objects: objects.map(object => object.name).sort(),
    files: await filesIn(vm.directory),
    acknowledged,
  };
}

/** Every file in the guest's directory. */
export async function filesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory)).map(name => join(directory, name)).sort();
}

/** Where every disk should be, and which images were left behind at one instant. */
export interface Expectation {
  readonly front: readonly CutImage[];
  readonly behind?: readonly CutImage[];
  /** Files that were not there before. */
  readonly made: readonly string[];
}

/** I1 to I5 of a guest that lives on: the breaches, each in a sentence; none is the good case. */
export async function judgeLiving(vm: GuestVm, before: Outside, expected: Expectation): Promise<string[]> {
  const now = await lookAround(vm);
  const wrong = [
    ...judgeFronts(now, expected),
    ...judgeLeftovers(before, now, expected),
    ...(await judgeRunning(vm, before, now)),
  ];
  await vm.witness.execute('stop');
  try {
    const acknowledged = vm.acknowledged();
    wrong.push(...(await judgeImages('the images in front', expected.front, acknowledged)));
    if (expected.behind !== undefined) {
      wrong.push(...(await judgeImages('the images left behind', expected.behind, before.acknowledged)));
    }
  } finally {
    if (now.status === 'running') await vm.witness.execute('cont');
  }
  return wrong;
}

/** I1. */
function judgeFronts(now: Outside, { front }: Expectation): string[] {
  return front.flatMap(({ file }, disk) => {
    const found = now.chains[disk]?.[0] ?? 'nothing';
    return found === file ? [] : [`I1: disk ${disk} is on ${found}, not on ${file}`];
  });
}

/** I3 as far as files go, and I4. Open is what the disks reach, each image as one format node over one protocol node. */
function judgeLeftovers(before: Outside, now: Outside, { made }: Expectation): string[] {
  const reached = new Set(now.chains.flat());
  const stray = now.nodes.filter(node => !reached.has(node.file));
  const crowded = [...reached].filter(file => now.nodes.filter(node => node.file === file).length > 2);
  const expectedFiles = new Set([...before.files, ...made]);
  return [
    ...before.files
      .filter(file => !now.files.includes(file))
      .map(file => `I3: ${file} was there before and is gone`),
    ...made.filter(file => !now.files.includes(file)).map(file => `I1: ${file} should be there`),
    ...now.files.filter(file => !expectedFiles.has(file)).map(file => `I4: the file ${file} is left`),
    ...now.jobs.map(job => `I4: the job ${job} is left`),
    ...stray.map(node => `I4: the node ${node.name} on ${node.file} is left`),
    ...crowded.map(file => `I4: ${file} is open more than once`),
    ...now.objects
      .filter(name => !before.objects.includes(name))
      .map(name => `I4: the object ${name} is left`),
    ...now.nodes.filter(node => node.bitmaps > 0).map(node => `I4: a dirty bitmap is left on ${node.name}`),
  ];
}

/** I5. */
async function judgeRunning(vm: GuestVm, before: Outside, now: Outside): Promise<string[]> {
  if (now.status !== before.status) return [`I5: the guest was ${before.status} and is ${now.status}`];
  try {
    await vm.awaitWrites(WRITES_AFTERWARDS);
    return vm.errors() === 0 ? [] : [`I5: ${vm.errors()} writes of the guest failed`];
  } catch (error) {
    return [`I5: ${String(error)}`];
  }
}

/** I2 and I3: the set is one instant, and holds every write up to `atLeast`. */
export async function judgeImages(
  words: string,
  images: readonly CutImage[],
  atLeast: number,
): Promise<string[]> {
  const cut = await readCut(images, { shared: true });
  const { consistent, upTo, why } = checkCut(cut);
  const missing = missingWrites(cut, atLeast);
  return [
    ...(consistent ? [] : [`I2: ${words} are no instant: ${why}`]),
    ...(missing.length === 0
      ? []
      : [
          `I3: ${words} lack ${missing.length} acknowledged writes, the first is ${missing[0]} of ${atLeast}`,
        ]),
    ...(upTo > 0 ? [] : [`I3: ${words} hold no write at all`]),
  ];
}

/** Steps that only wait may come to their end as often as they like. */
const ONLY_WAITS = new Set(['awaitNearlyClean', 'awaitSignal']);

/** I7 in the journal: nothing was brought about twice without having been taken back in between. */
export function judgeRecords(records: readonly JournalRecord[]): string[] {
  const done = new Set<string>();
  const wrong: string[] = [];
  for (const { kind, step, body } of records) {
    if (kind !== 'outcome' || (typeof body === 'object' && body !== null && 'error' in body)) continue;
    if (step.startsWith('undo.')) done.delete(step.slice('undo.'.length));
    else if (done.has(step) && !ONLY_WAITS.has(step))
      wrong.push(`I7: the journal shows ${step} brought about twice`);
    else done.add(step);
  }
  return wrong;
}
