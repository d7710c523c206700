/**
 * What a round left behind, judged from outside: by QEMU's answers on a monitor that blocksaga does not use, by the file
 * system and by what is in the images. It never asks the engine, and changes nothing.
 */
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import { type CutImage, checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import type { JournalRecord } from '../../src/index.ts';
import type { Definition } from '../../src/steps/finish/publish-definitions.ts';
import type { Ended, Ending } from './endings.ts';
import { lookAround, type Outside } from './outside.ts';

/** How many writes the guest must still be able to do. */
const WRITES_AFTERWARDS = 12;

/** I1 to I5 of a guest that lives on: the breaches, each in a sentence; none is the good case. */
export async function judgeLiving(vm: GuestVm, before: Outside, expected: Ending): Promise<string[]> {
  const now = await lookAround(vm);
  const wrong = [
    ...judgeChains(now, expected),
    ...judgeLeftovers(before, now, expected),
    ...judgeBitmaps(before, now),
    ...(await judgeRunning(vm, before, now)),
  ];
  await vm.witness.execute('stop');
  try {
    wrong.push(...(await judgeSets(before, expected, vm.acknowledged())));
  } finally {
    if (now.status === 'running') await vm.witness.execute('cont');
  }
  return wrong;
}

/** I2 and I3 of what an ending leaves: the images in front, and those that were left at one instant. */
export async function judgeSets(before: Outside, expected: Ending, acknowledged: number): Promise<string[]> {
  const { chains, behind, behindHolds, goesBackInTime } = expected;
  const front = chains.map(chain => ({ file: chain[0] ?? '' }));
  const wrong = goesBackInTime
    ? await judgeTime('the images in front', front, before)
    : await judgeImages('the images in front', front, acknowledged);
  if (behind === undefined) return wrong;
  const atLeast = behindHolds === 'all' ? acknowledged : before.acknowledged;
  return [...wrong, ...(await judgeImages('the images left behind', behind, atLeast))];
}

/** I1. */
function judgeChains(now: Outside, { chains }: Ending): string[] {
  return chains.flatMap(([file, ...below], disk) => {
    const [found = 'nothing', ...foundBelow] = now.chains[disk] ?? [];
    if (found !== file) return [`I1: disk ${disk} is on ${found}, not on ${file}`];
    return sameList(foundBelow, below)
      ? []
      : [`I1: below disk ${disk} is ${listed(foundBelow)}, not ${listed(below)}`];
  });
}

/** I3 as far as files go, and I4. Open is what the disks reach, each image as one format node over one protocol node. */
function judgeLeftovers(before: Outside, now: Outside, expected: Ending): string[] {
  const reached = new Set(now.chains.flat());
  const stray = now.nodes.filter(node => !reached.has(node.file));
  const crowded = [...reached].filter(file => now.nodes.filter(node => node.file === file).length > 2);
  return [
    ...judgeFiles(before, now.files, expected),
    ...now.jobs.map(job => `I4: the job ${job} is left`),
    ...stray.map(node => `I4: the node ${node.name} on ${node.file} is left`),
    ...crowded.map(file => `I4: ${file} is open more than once`),
    ...now.objects
      .filter(name => !before.objects.includes(name))
      .map(name => `I4: the object ${name} is left`),
  ];
}

/** I1, I3 and I4 of the files that are there. */
export function judgeFiles(before: Outside, there: readonly string[], expected: Ending): string[] {
  const { made, gone, allowed } = expected;
  const known = new Set([...before.files.filter(file => !gone.includes(file)), ...made, ...allowed]);
  return [
    ...before.files
      .filter(file => !there.includes(file) && !gone.includes(file))
      .map(file => `I3: ${file} was there before and is gone`),
    ...made.filter(file => !there.includes(file)).map(file => `I1: ${file} should be there`),
    ...there.filter(file => !known.has(file)).map(file => `I4: the file ${file} is left`),
  ];
}

/** I3 and I4: what a backup counts on goes on recording in front of the disk where it did, and no other bitmap is there. */
function judgeBitmaps(before: Outside, now: Outside): string[] {
  const known = before.chains.map(chain => namesOf(before, chain[0]));
  const lost = known.flatMap((names, disk) => {
    const recording = namesOf(now, now.chains[disk]?.[0]);
    return names
      .filter(name => !recording.includes(name))
      .map(name => `I3: the bitmap ${name} of disk ${disk} does not record any more`);
  });
  const stray = now.nodes.filter(({ bitmaps }) =>
    bitmaps.some(({ name }) => name === undefined || !known.flat().includes(name)),
  );
  return [...lost, ...stray.map(node => `I4: a dirty bitmap is left on ${node.name}`)];
}

/** The bitmaps that record what is written to the image of a file. */
function namesOf({ nodes }: Outside, file: string | undefined): readonly string[] {
  const bitmaps = nodes.filter(node => node.file === file).flatMap(node => node.bitmaps);
  return bitmaps.flatMap(({ name, recording }) => (recording && name !== undefined ? name : []));
}

/** I5. A guest that was paused has stayed paused, and could be resumed. */
async function judgeRunning(vm: GuestVm, before: Outside, now: Outside): Promise<string[]> {
  if (now.status !== before.status) return [`I5: the guest was ${before.status} and is ${now.status}`];
  const stood = now.status !== 'running';
  if (stood && vm.acknowledged() !== before.acknowledged) {
    return [`I5: the guest was paused, but went on from ${before.acknowledged} to ${vm.acknowledged()}`];
  }
  if (stood) return [];
  try {
    await vm.awaitWrites(WRITES_AFTERWARDS);
    return vm.errors() === 0 ? [] : [`I5: ${vm.errors()} writes of the guest failed`];
  } catch (error) {
    return [`I5: ${String(error)}`];
  }
}

/** I2 of disks that went back: they show one instant, the one that the images below had kept, and nothing later. */
async function judgeTime(words: string, images: readonly CutImage[], before: Outside): Promise<string[]> {
  const { consistent, upTo, why } = checkCut(await readCut(images, { shared: true }));
  return [
    ...(consistent ? [] : [`I2: ${words} are no instant: ${why}`]),
    ...(upTo === before.below ? [] : [`I2: ${words} show write ${upTo}, not write ${before.below}`]),
  ];
}

const listed = (files: readonly string[]) => (files.length === 0 ? 'nothing' : files.join(' <- '));

function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((each, at) => each === other[at]);
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

/** Steps that only wait, and one that finds its effect there where the guest was resumed and is paused again. */
const MAY_RECUR = new Set(['awaitConvergence', 'awaitSignal', 'attachChains']);

/** I7 in the journal: nothing was brought about twice without having been taken back in between. */
export function judgeRecords(records: readonly JournalRecord[]): string[] {
  const done = new Set<string>();
  const wrong: string[] = [];
  for (const { kind, step, body } of records) {
    if (kind !== 'outcome' || (typeof body === 'object' && body !== null && 'error' in body)) continue;
    const effect = effectOf(step, body);
    if (step.startsWith('undo.')) done.delete(step.slice('undo.'.length));
    else if (done.has(effect) && !MAY_RECUR.has(step.replace('mirror.', '')))
      wrong.push(`I7: the journal shows ${effect} brought about twice`);
    else done.add(effect);
  }
  return wrong;
}

/** Most steps are about all disks; those without QEMU name the one that they are about. */
function effectOf(step: string, body: JournalRecord['body']): string {
  const { value } = (body ?? {}) as { readonly value?: unknown };
  const isOfDisk = typeof value === 'object' && value !== null && 'disk' in value;
  return isOfDisk ? `${step} of disk ${String(value.disk)}` : step;
}

/** I1: the keeper of the VM's records was told of the disks as they are, last of all, if he was told at all. */
export function judgeTold(told: string, outcome: Ended, { chains }: Ending): string[] {
  const lines = told.split('\n').filter(line => line !== '');
  const last = lines.at(-1);
  if (last === undefined) {
    return outcome === 'committed' ? ['I1: onCommit was not told of the new disks'] : [];
  }
  const { disks } = JSON.parse(last) as Definition;
  const said = disks.map(disk => disk.chain.map(image => image.file).join(' <- '));
  const are = chains.slice(0, disks.length).map(chain => chain.join(' <- '));
  return sameList(said, are) ? [] : [`I1: told was of ${said.join(', ')}, not of ${are.join(', ')}`];
}
