/**
 * QEMU is killed, and a third party has put other files in the places of its images by the time that the saga is recovered offline. Real
 * QEMU, real qemu-img: nothing is booted from them, read as the guest's, or written to, until the right file is back or is said to be.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { BlocksagaError, recoverOffline, type SagaResult } from '../../src/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { disksOf, withChains } from './chained.ts';
import { askCommand, buildCommand, resultOf, runCommand } from './cli-process.ts';
import { describeOnQemu } from './real-qemu.ts';
import { type Stage, stage } from './witnessed.ts';

const ID = 'replaced';
const DEAD = { qemu: 'dead' } as const;

/** Of the same size, with something in it that no guest has written. */
function makeTheirs(file: string): void {
  if (theirs !== undefined) {
    writeFileSync(file, theirs);
    return;
  }
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, '16M']);
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 0 1M', file], { stdio: 'ignore' });
  theirs = readFileSync(file);
}

/** As it was made once: the same each time, and many are made. */
let theirs: Buffer | undefined;

interface Act {
  readonly act: (file: string) => void;
  readonly putBack: (file: string) => void;
}

const aside = (file: string) => `${file}.aside`;
const moveBack = (file: string) => {
  rmSync(file);
  renameSync(aside(file), file);
};

const INODE = 'a file with the same inode number, where the file system gives it again';
const DIRECTORY = 'a directory with another image';

const ACTS: Readonly<Record<string, Act>> = {
  'another image': {
    act(file) {
      renameSync(file, aside(file));
      makeTheirs(file);
    },
    putBack: moveBack,
  },
  'a link to another image': {
    act(file) {
      renameSync(file, aside(file));
      makeTheirs(`${file}.theirs`);
      symlinkSync(`${file}.theirs`, file);
    },
    putBack: moveBack,
  },
  [INODE]: {
    act(file) {
      const { ino } = statSync(file, { bigint: true });
      copyFileSync(file, aside(file));
      rmSync(file);
      const tried: string[] = [];
      for (let round = 0; round < 50; round += 1) {
        const one = `${file}.theirs${round}`;
        makeTheirs(one);
        tried.push(one);
        if (statSync(one, { bigint: true }).ino === ino) break;
      }
      const last = tried.pop() ?? '';
      renameSync(last, file);
      for (const one of tried) rmSync(one);
    },
    // The first file is gone for good: the copy that was taken of it is said to be right.
    putBack(file) {
      copyFileSync(aside(file), file);
    },
  },
  [DIRECTORY]: {
    act(file) {
      renameSync(dirname(file), aside(dirname(file)));
      mkdirSync(dirname(file));
      makeTheirs(file);
    },
    putBack(file) {
      rmSync(dirname(file), { recursive: true });
      renameSync(aside(dirname(file)), dirname(file));
    },
  },
};

/** One of the saga's images, and how it is asked to be recovered. */
interface Place {
  readonly name: string;
  readonly file: (on: Stage) => string;
  readonly back?: true;
}

interface Scene {
  readonly begin: (on: Stage) => Promise<{ readonly result: Promise<SagaResult> }>;
  readonly places: readonly Place[];
}

const overlayIn = (on: Stage, index: number) => join(on.directory, 'overlays', `new${index}.qcow2`);

function takeSnapshot(on: Stage) {
  mkdirSync(join(on.directory, 'overlays'), { recursive: true });
  on.tap.after('transaction', async () => {
    await on.vm.awaitWrites(16);
    await on.vm.kill();
  });
  const disks = on.snapshotAll(index => ({ overlay: overlayIn(on, index) }));
  return on.engine.snapshot({ ...disks, ...on.tapped, id: ID });
}

function copy(on: Stage) {
  on.tap.before('blockdev-mirror', () => on.vm.kill());
  return on.engine.copy({ ...on.copyAll(), ...on.tapped, id: ID });
}

const OLD = (on: Stage) => on.vm.disks[1]?.file ?? '';
const OVERLAY: Place = { name: 'the overlay', file: on => overlayIn(on, 1) };

const SCENES: Readonly<Record<string, Scene>> = {
  'a copy before its decision': { begin: copy, places: [{ name: 'the old image', file: OLD }] },
  'a snapshot': {
    begin: takeSnapshot,
    places: [
      OVERLAY,
      { name: 'the image below the overlay', file: OLD },
      { name: 'the image that it goes back into', file: OLD, back: true },
    ],
  },
};

/** Every image there is, as it is. */
function contentsOf(on: Stage): ReadonlyMap<string, string> {
  const names = readdirSync(on.directory, { recursive: true, encoding: 'utf8' });
  const images = names.map(name => join(on.directory, name)).filter(file => file.includes('.qcow2'));
  return new Map(images.map(file => [file, createHash('sha256').update(readFileSync(file)).digest('hex')]));
}

async function expectNothingLost({ vm }: Stage, { boot }: Pick<SagaResult, 'boot'>): Promise<void> {
  const cut = await readCut((boot ?? []).map(({ file }) => ({ file, format: 'qcow2' as const })));
  const verdict = checkCut(cut);
  expect(verdict, verdict.why).toMatchObject({ consistent: true });
  expect(missingWrites(cut, vm.acknowledged())).toEqual([]);
}

describeOnQemu('an offline recovery', () => {
  // At the same time: a client waits for a while for a QEMU that has died.
  test.concurrent.each(Object.keys(SCENES))(
    'of %s that finds other files in the places of its images',
    async scene => {
      const { begin, places } = SCENES[scene] ?? expect.unreachable();
      await using on = await stage({ disks: 2, journal: 'memory' });
      expect(await (await begin(on)).result).toMatchObject({ outcome: 'needsRecovery' });
      const acceptImages: string[] = [];
      const expectRefused = async (act: string, { name, file: fileOf, back }: Place): Promise<void> => {
        const before = contentsOf(on);
        const options = { ...DEAD, acceptImages, ...(back === undefined ? {} : { back }) };
        const refusal = await recoverOffline(on.journal, ID, options).catch((error: unknown) => error);
        const what = `${act} as ${name}`;
        expect.assert(refusal instanceof BlocksagaError, `${what}: ${JSON.stringify(refusal)}`);
        expect(refusal.code, what).toBe('FILES');
        // Of a directory the first image may be missed first.
        const found = act === DIRECTORY ? dirname(fileOf(on)) : `${fileOf(on)} there is inode`;
        expect(refusal.message, what).toMatch(new RegExp(`${found}.*put the right file back`));
        expect(contentsOf(on), what).toEqual(before);
      };
      for (const place of places) {
        const file = place.file(on);
        for (const [act, { act: take, putBack }] of Object.entries(ACTS)) {
          // The old images are beside all else that is of the guest, and the first file is gone for good at last.
          if (act === INODE || (act === DIRECTORY && place !== OVERLAY)) continue;
          take(file);
          await expectRefused(act, place);
          putBack(file);
        }
      }
      for (const place of places.filter(({ back }) => back === undefined)) {
        const { act: take, putBack } = ACTS[INODE] ?? expect.unreachable();
        const file = place.file(on);
        take(file);
        await expectRefused(INODE, place);
        putBack(file);
        rmSync(aside(file));
        await expectRefused(INODE, place);
        acceptImages.push(file);
      }
      await expectNothingLost(on, await recoverOffline(on.journal, ID, { ...DEAD, acceptImages }));
    },
  );

  test.concurrent('of a commit asks for no image that it has merged and removed, whatever stands under its name by then', async () => {
    await using bare = await stage({ disks: 2, journal: 'memory' });
    const on = await withChains(bare, 2);
    const merged = on.chains.map(([, file = '']) => file);
    on.tap.before('object-del', () => on.vm.kill());
    const disks = disksOf(on, index => ({ top: merged[index] ?? '', base: on.chains[index]?.[2] ?? '' }));
    const saga = await on.engine.commit({ ...on.tapped, id: ID, disks, delete: true });
    expect(await saga.result).toMatchObject({ outcome: 'needsRecovery' });
    for (const file of merged) {
      expect(existsSync(file)).toBe(false);
      makeTheirs(file);
    }
    const theirs = () => merged.map(file => createHash('sha256').update(readFileSync(file)).digest('hex'));
    const made = theirs();
    const result = await recoverOffline(on.journal, ID, DEAD);
    expect(result).toMatchObject({ outcome: 'committed' });
    expect(result.leftovers.map(words => words.replace(/ \(.*is not proved to be.*/, ''))).toEqual(merged);
    expect(theirs()).toEqual(made);
    await expectNothingLost(on, result);
  });

  test.concurrent('of a saga that saw no files asks whether an image is the right one that stands on another', async () => {
    await using on = await stage({ disks: 2 });
    on.tap.after('transaction', async () => {
      await on.vm.awaitWrites(16);
      await on.vm.kill();
    });
    const disks = on.snapshotAll(index => ({ overlay: on.newFile(index) }));
    const saga = await on.engine.snapshot({ ...disks, ...on.tapped, files: null, id: ID });
    expect((await saga.result).outcome).toBe('needsRecovery');
    const file = on.newFile(1);
    renameSync(file, aside(file));
    makeTheirs(file);
    const before = contentsOf(on);
    const refused = await recoverOffline(on.journal, ID, DEAD).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BlocksagaError);
    expect(refused).toMatchObject({
      code: 'FILES',
      message: expect.stringMatching(
        `${file} could not be proved.* leads to no image.*--accept-image ${file}`,
      ),
    });
    expect(contentsOf(on)).toEqual(before);
    moveBack(file);
    const result = await recoverOffline(on.journal, ID, DEAD);
    expect(result).toMatchObject({
      outcome: 'committed',
      why: expect.stringContaining('could not be proved of'),
    });
    await expectNothingLost(on, result);
  });
});

describeOnQemu('the command line', () => {
  beforeAll(buildCommand);

  test('says what stands there, and takes a copy from a backup where that is promised', async () => {
    await using on = await stage({ disks: 2 });
    const state = temporaryFolder();
    const disks = on.vm.disks.flatMap(({ device }, index) => ['--disk', `${device},to=${on.newFile(index)}`]);
    const copied = ['copy', '--qmp', on.vm.monitor, ...disks, '--finish', 'leave', '--id', ID];
    expect((await runCommand(state, ...copied)).status).toBe(0);
    await on.vm.kill();
    const [file = ''] = on.vm.disks.map(disk => disk.file);
    renameSync(file, aside(file));
    copyFileSync(aside(file), file);
    const refused = await askCommand(state, 'resume', '--offline', ID);
    expect(refused.status).toBe(2);
    expect(refused.err).toContain(`--accept-image ${file}`);
    const { status, out } = await runCommand(
      ...([state, 'resume', '--offline', ID, '--json', '--accept-image', file] as const),
    );
    expect([status, resultOf(out).outcome]).toEqual([1, 'rolledBack']);
    await expectNothingLost(on, resultOf(out));
  });
});
