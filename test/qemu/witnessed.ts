/**
 * A guest on a stage, with a witness: what a saga promises (DESIGN's I1 to I5) is asked of QEMU on a second monitor and
 * read from the images after QEMU has ended, never taken from the engine under test.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type GuestVm, type GuestVmOptions, startGuestVm } from '../../src/demo/guest-vm.ts';
import { type CutImage, checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import {
  type CopyRequest,
  createEngine,
  type Engine,
  type Journal,
  localFiles,
  memoryJournal,
  openJournal,
  type SagaResult,
  type SnapshotRequest,
} from '../../src/index.ts';
import { often } from '../tiers/tier.ts';
import { pacingOn } from './pace.ts';
import { Tap } from './tapped.ts';
import { lookAt, SPOILER, spoil, type World } from './world.ts';

/** How a guest is put on the stage. */
export interface StageOptions extends Partial<GuestVmOptions> {
  readonly journal?: 'memory' | 'sqlite';
  /** A third monitor, for a second engine. */
  readonly secondMonitor?: boolean;
  /** Other directories whose files are watched. */
  readonly directories?: readonly string[];
}

type CopyDisk = CopyRequest['disks'][number];
type SnapshotDisk = SnapshotRequest['disks'][number] & { readonly overlay: string };

/** Where the guest is, and a pause that is long enough for a machine under any load. */
interface Basics {
  readonly qmp: string;
  readonly maxBlackoutMs: number;
}

/** A guest that has written for a while, and an engine to try on it. */
export interface Stage extends AsyncDisposable {
  readonly vm: GuestVm;
  readonly tap: Tap;
  readonly engine: Engine;
  readonly journal: Journal;
  readonly directory: string;
  /** The address of the third monitor, if it was asked for. */
  readonly secondMonitor: string;
  /** As it was before the saga. */
  readonly before: World;
  readonly acknowledgedBefore: number;
  look(): Promise<World>;
  /** The file of a new image: `new0.qcow2` beside the old one. */
  newFile(index: number): string;
  /** A request to copy all disks, named by their devices; `change` says what is different with a disk. */
  copyAll(change?: (index: number) => Partial<CopyDisk>): Basics & { readonly disks: CopyDisk[] };
  snapshotAll(change?: (index: number) => Partial<SnapshotDisk>): Basics & { readonly disks: SnapshotDisk[] };
  /**
   * Puts a node of a third party above the image of this file that does not share reading (or writing): QEMU then
   * refuses each user that needs that, such as a guest's device. `unspoil` takes it away.
   */
  spoil(file: string, unshared?: 'consistent-read' | 'write'): Promise<void>;
  unspoil(): Promise<void>;
  /** Instead of `qmp: <address>`: the same guest through the tap. */
  readonly tapped: { readonly qmp: Tap['connect']; readonly files: typeof localFiles; readonly vm: string };
}

/** Some on each disk, before the saga and after it, besides those that its start waits for. */
const WARM_UP_WRITES = often(1, 12);
const ROUNDS_AT_END = often(1, 3);
const MAX_BLACKOUT_MS = 30_000;
/** Small, so that a copy is quick, with room for the guest's ring of 4 MiB. */
const SIZE_BYTES = 16 * 1024 * 1024;

/** Starts a guest, lets it write, and looks at it. A guest that is `paused` has written before it was. */
export async function stage(options: StageOptions = {}): Promise<Stage> {
  const { journal: journalKind = 'memory', directories = [], paused = false, ...guest } = options;
  await using stack = new AsyncDisposableStack();
  const secondMonitor = await addMonitor(options.secondMonitor ?? false, guest, stack);
  const vm = stack.use(
    await startGuestVm({
      disks: 3,
      sizeBytes: SIZE_BYTES,
      pacingUs: pacingOn(guest.bus ?? 'virtio-blk', guest.iothreads),
      ...guest,
      ...secondMonitor.options,
    }),
  );
  const journal = await openOne(journalKind, stack);
  if (guest.guest !== 'idle') await vm.awaitWrites(WARM_UP_WRITES);
  if (paused) await vm.witness.execute('stop');
  const tap = new Tap(vm.monitor);
  const look = () => lookAt(vm, [vm.directory, ...directories]);
  const newFile = (index: number) => join(vm.directory, `new${index}.qcow2`);
  const basics = { qmp: vm.monitor, maxBlackoutMs: MAX_BLACKOUT_MS };
  const before = await look();
  const acknowledgedBefore = vm.acknowledged();
  const kept = stack.move();
  return {
    vm,
    tap,
    journal,
    engine: createEngine({ journal }),
    directory: vm.directory,
    secondMonitor: secondMonitor.path,
    before,
    acknowledgedBefore,
    look,
    newFile,
    copyAll: (change = () => ({})) => ({
      ...basics,
      disks: vm.disks.map(({ device }, index) => ({ disk: device, to: newFile(index), ...change(index) })),
    }),
    snapshotAll: (change = () => ({})) => ({
      ...basics,
      disks: vm.disks.map(({ device }, index) => ({
        disk: device,
        overlay: newFile(index),
        ...change(index),
      })),
    }),
    spoil: (file, unshared = 'consistent-read') => spoil(vm, file, unshared),
    async unspoil() {
      await vm.witness.execute('blockdev-del', { 'node-name': SPOILER });
    },
    tapped: { qmp: tap.connect, files: localFiles, vm: vm.monitor },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function addMonitor(wanted: boolean, guest: Partial<GuestVmOptions>, stack: AsyncDisposableStack) {
  if (!wanted) return { path: '', options: {} };
  const folder = await mkdtemp(join(tmpdir(), 'blocksaga-monitor-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const path = join(folder, 'qmp');
  const extraArguments = [...(guest.extraArguments ?? []), '-qmp', `unix:${path},server=on,wait=off`];
  return { path, options: { extraArguments } };
}

async function openOne(kind: 'memory' | 'sqlite', stack: AsyncDisposableStack): Promise<Journal> {
  if (kind === 'memory') return memoryJournal();
  const folder = await mkdtemp(join(tmpdir(), 'blocksaga-journal-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const journal = openJournal(join(folder, 'journal.db'));
  stack.defer(async () => journal.close());
  return journal;
}

/** What a test expects beyond the promise itself. */
export interface Expected {
  /** Files that are there afterwards and were not before, besides the new images of a committed saga. */
  readonly files?: readonly string[];
  /** Format of the new images; `qcow2` unless said otherwise. */
  readonly newFormat?: string;
  /** The new images were there before the saga and hold whatever was copied. */
  readonly reused?: boolean;
  /** The guest was killed already; only the images are judged. */
  readonly dead?: boolean;
}

/** All disks are on their new images, the old ones are a cut, and nothing else is left. */
export async function expectSwitched(on: Stage, result: SagaResult, expected: Expected = {}): Promise<void> {
  expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
  const news = result.disks.map(disk => disk.image);
  await expectWorld(on, news, [...news, ...(expected.files ?? [])]);
  await endGuest(on);
  await expectSets(on, {
    front: imagesOf(news, expected.newFormat),
    behind: oldImages(on),
  });
}

/** All disks are on their old images, the new ones are a cut that no device uses, and nothing else is left. */
export async function expectCloned(on: Stage, result: SagaResult, expected: Expected = {}): Promise<void> {
  expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
  const news = result.disks.map(disk => disk.image);
  await expectWorld(on, oldFiles(on), [...news, ...(expected.files ?? [])]);
  await endGuest(on);
  await expectSets(on, { front: oldImages(on), behind: imagesOf(news, expected.newFormat) });
}

/** All disks are on their old images as if nothing had been. */
export async function expectUntouched(on: Stage, expected: Expected = {}): Promise<void> {
  await expectWorld(on, oldFiles(on), expected.files ?? []);
  await endGuest(on);
  await expectSets(on, { front: oldImages(on) });
}

/** Like `expectUntouched`, for a saga that was taken back. */
export async function expectTakenBack(on: Stage, result: SagaResult, expected: Expected = {}): Promise<void> {
  expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack' });
  await expectUntouched(on, expected);
}

export function explain(result: SagaResult): string {
  return `${result.outcome}: ${JSON.stringify(result.error)} left ${JSON.stringify(result.leftovers)}`;
}

/** I1, I3 (files), I4 and I5, of a QEMU that still runs. */
async function expectWorld(on: Stage, fronts: readonly string[], made: readonly string[]): Promise<void> {
  const now = await on.look();
  expect(now.fronts.map(front => front.chain[0])).toEqual(fronts);
  await expectUnused(on, now);
  expect(now.files).toEqual([...new Set([...on.before.files, ...made])].sort());
}

/** I4 (jobs, objects, nodes) and I5, of a QEMU that still runs. */
export async function expectUnused({ vm, before, acknowledgedBefore }: Stage, now: World): Promise<void> {
  expect(now.jobs).toEqual(before.jobs);
  expect(now.objects).toEqual(before.objects);
  // Open is what the disks reach, and nothing twice: each image as one format node over one protocol node.
  const reached = new Set(now.fronts.flatMap(front => front.chain));
  expect(now.nodes.filter(node => !reached.has(node.file))).toEqual([]);
  const crowded = [...reached].filter(file => now.nodes.filter(node => node.file === file).length > 2);
  expect(crowded, JSON.stringify(now.nodes)).toEqual([]);
  expect(now.status).toBe(before.status);
  if (before.status !== 'running') expect(vm.acknowledged()).toBe(acknowledgedBefore);
}

/** Lets the guest write a while longer on what it is left on, then ends it as a power cut would. */
export async function endGuest({ vm, before }: Stage): Promise<void> {
  if (before.status !== 'running') await vm.witness.execute('cont');
  await vm.awaitWrites(ROUNDS_AT_END * vm.disks.length);
  await vm.kill();
}

/** I2 and I3, of a QEMU that has ended. */
export async function expectSets(
  on: Stage,
  sets: { readonly front: readonly CutImage[]; readonly behind?: readonly CutImage[] },
): Promise<void> {
  const acknowledged = on.vm.acknowledged();
  const { disks } = await readCut([...sets.front, ...(sets.behind ?? [])]); // all at once: QEMU has ended
  const front = { disks: disks.slice(0, sets.front.length) };
  const verdict = checkCut(front);
  expect(verdict, verdict.why).toMatchObject({ consistent: true });
  expect(missingWrites(front, acknowledged)).toEqual([]);
  expect(verdict.upTo - acknowledged).toBeOneOf([0, 1]);
  if (sets.behind === undefined) return;
  const behind = { disks: disks.slice(sets.front.length) };
  const cut = checkCut(behind);
  expect(cut, cut.why).toMatchObject({ consistent: true });
  expect(missingWrites(behind, on.acknowledgedBefore)).toEqual([]);
  expect(cut.upTo).toBeLessThanOrEqual(verdict.upTo);
}

export function oldImages({ vm }: Stage): readonly CutImage[] {
  return vm.disks.map(({ file, format }) => ({ file, format }));
}

export function imagesOf(files: readonly string[], format = 'qcow2'): readonly CutImage[] {
  return files.map(file => ({ file, format }));
}

function oldFiles({ vm }: Stage): readonly string[] {
  return vm.disks.map(disk => disk.file);
}
