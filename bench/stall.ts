/**
 * What blocksaga costs a guest: how long it is paused, and how long the caller waits, when N disks are snapshotted or
 * switched to their copies at once. Each figure stands beside the limit, the same QMP commands from a bare client
 * (`bare.ts`), taken in turn with it on the same guest, and, of another build of blocksaga, what that one takes. It asserts that the
 * disks have changed, and nothing about time:
 * `npm run bench -- [--rounds N] [--disks N,N] [--operations NAME,NAME] [--oob] [--beside DIST/index.js]
 * [--json]`. With `--oob` the bare client's session has that enabled, as blocksaga's has.
 */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type GuestVm, startGuestVm } from '../src/demo/guest-vm.ts';
import type { Engine, SagaResult } from '../src/index.ts';
import * as blocksaga from '../src/index.ts';
import { type GuestDisk, survey } from '../src/operations/survey.ts';
import { sleep, systemClock } from '../src/qmp/clock.ts';
import { connectSocket, openQmpClient } from '../src/qmp/index.ts';
import {
  BareClient,
  type BareDisk,
  type BareStrategy,
  mirror,
  openImages,
  switchByFinalize,
  switchByReopen,
  switchByReopenInPause,
  takeSnapshot,
} from './bare.ts';
import { type Comparison, printReport, type Sample, SIDES, type Side } from './stall-report.ts';

const DISKS = '2,4,8,16';
const ROUNDS = 15;
const ROUNDS_MAX = 100;
/** Rounds before the first counted one: code is compiled, files and sockets have been opened once. */
const WARM_UP_ROUNDS = 1;
/** Writes per disk that the guest must have acknowledged before and after what is measured. */
const WRITES_AROUND = 4;
const QUIET_MS = 250;

/** What is compared. A snapshot's overlays are opened first by both sides; a switch begins with all mirrors READY. */
const OPERATIONS = ['snapshot', 'reopen', 'finalize'] as const;
type Operation = (typeof OPERATIONS)[number];

interface Stage {
  readonly vm: GuestVm;
  readonly engine: Engine;
  readonly disks: readonly GuestDisk[];
  /** Distinct for every run on this guest. */
  readonly label: string;
}

type Run = (stage: Stage) => Promise<Sample>;
type Runs = Partial<Record<Side, Run>> & Readonly<Record<'blocksaga' | 'bare', Run>>;

const RUNS: Readonly<Record<Operation, Runs>> = {
  snapshot: { blocksaga: snapshotByEngine, bare: snapshotBare },
  reopen: {
    blocksaga: stage => switchByEngine(stage, 'reopen'),
    bare: stage => switchBare(stage, 'reopen', switchByReopen),
    bareInPause: stage => switchBare(stage, 'reopenInPause', switchByReopenInPause),
  },
  finalize: {
    blocksaga: stage => switchByEngine(stage, 'finalize'),
    bare: stage => switchBare(stage, 'finalize', switchByFinalize),
  },
};

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: String(ROUNDS) },
    disks: { type: 'string', default: DISKS },
    operations: { type: 'string', default: OPERATIONS.join(',') },
    beside: { type: 'string' },
    oob: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const beside =
  options.beside === undefined ? undefined : ((await import(resolve(options.beside))) as typeof blocksaga);
const operations = OPERATIONS.filter(operation => options.operations.split(',').includes(operation));
const rounds = Number(options.rounds);
if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
  throw new Error(`--rounds takes 1 to ${ROUNDS_MAX}, not "${options.rounds}"`);
}
const comparisons: Comparison[] = [];
let version = '';
for (const count of options.disks.split(',').map(Number)) {
  await using vm = await startGuestVm({
    disks: count,
    cache: 'unsafe',
    pacingUs: 0,
    timed: true,
    bios: 'seabios',
  });
  version = await qemuVersion(vm);
  comparisons.push(...(await compare(vm, count)));
}
printReport({ comparisons, rounds, oob: options.oob, qemuVersion: version }, options.json);

/** All operations on one guest, the sides in turn; which one begins changes from round to round. */
async function compare(vm: GuestVm, count: number): Promise<readonly Comparison[]> {
  const journal = blocksaga.openJournal(join(vm.directory, 'journal.db'));
  const other = beside?.openJournal(join(vm.directory, 'beside.db'));
  const engine = blocksaga.createEngine({ journal });
  const besideEngine = other === undefined ? undefined : beside?.createEngine({ journal: other });
  const samples = operations.map(operation => ({
    operation,
    disks: count,
    blocksaga: [] as Sample[],
    bare: [] as Sample[],
    bareInPause: [] as Sample[],
    beside: [] as Sample[],
  }));
  const quietGapMs: number[] = [];
  for (let round = -WARM_UP_ROUNDS; round < rounds; round += 1) {
    const sides: readonly Side[] = round % 2 === 0 ? SIDES : SIDES.toReversed();
    for (const comparison of samples) {
      const runs = RUNS[comparison.operation];
      for (const side of sides) {
        const by = side === 'beside' ? besideEngine : engine;
        const run = side === 'beside' ? runs.blocksaga : runs[side];
        if (run === undefined || by === undefined) continue;
        const label = `${comparison.operation}${round + WARM_UP_ROUNDS}-${side}`;
        const sample = await runOnce(vm, by, label, run);
        if (round >= 0) comparison[side].push(sample);
      }
    }
    if (round >= 0) quietGapMs.push(await quietGap(vm));
    if (!options.json)
      process.stderr.write(`\r${count} disks, round ${Math.max(round + 1, 0)} of ${rounds} `);
  }
  if (!options.json) process.stderr.write('\n');
  await journal.close();
  await other?.close();
  return samples.map(comparison => ({ ...comparison, quietGapMs }));
}

/** One run on a writing guest; afterwards every disk must be on its new image, and the files left behind go. */
async function runOnce(vm: GuestVm, engine: Engine, label: string, run: Run): Promise<Sample> {
  const before = await look(vm);
  await vm.awaitWrites(before.length * WRITES_AROUND);
  const stage = { vm, engine, disks: before, label };
  const sample = await run(stage);
  const after = await look(vm);
  for (const [index, { file }] of after.entries()) {
    if (file !== newFile(stage, index)) throw new Error(`${label}: disk ${index} is on ${file}`);
  }
  const used = new Set(after.flatMap(disk => disk.chain.map(image => image.file)));
  const left = before.flatMap(disk => disk.chain.map(image => image.file)).filter(file => !used.has(file));
  await Promise.all(left.map(file => rm(file)));
  return sample;
}

async function snapshotByEngine(stage: Stage): Promise<Sample> {
  const { vm, engine, disks } = stage;
  const request = disks.map(({ node }, index) => ({ disk: node, overlay: newFile(stage, index) }));
  const clock = startClock(vm);
  const saga = await engine.snapshot({ qmp: vm.monitor, disks: request });
  saga.subscribe(notice => {
    if (notice.type === 'event' && notice.state === 'snapshotting.takeSnapshot') clock.mark();
  });
  await committed(saga.result);
  return clock.stop(disks.length);
}

async function snapshotBare(stage: Stage): Promise<Sample> {
  const { vm } = stage;
  const clock = startClock(vm);
  const qmp = await BareClient.connect(vm.monitor, options.oob);
  const disks = bareDisks(stage, true);
  await openImages(qmp, disks);
  clock.mark();
  await takeSnapshot(qmp, disks);
  qmp.close();
  return clock.stop(disks.length);
}

async function switchByEngine(stage: Stage, strategy: 'reopen' | 'finalize'): Promise<Sample> {
  const { vm, engine, disks } = stage;
  const request = disks.map(({ node }, index) => ({ disk: node, to: newFile(stage, index) }));
  const saga = await engine.copy({ qmp: vm.monitor, disks: request, strategy, finish: 'leave' });
  const { outcome, error } = await saga.result;
  if (outcome !== 'ready') throw new Error(`the copy ended as ${outcome}: ${error?.message}`);
  await vm.awaitWrites(disks.length * WRITES_AROUND);
  const clock = startClock(vm);
  await committed(saga.pivot());
  return clock.stop(disks.length);
}

async function switchBare(
  stage: Stage,
  strategy: BareStrategy,
  act: (qmp: BareClient, disks: readonly BareDisk[]) => Promise<void>,
): Promise<Sample> {
  const { vm } = stage;
  const qmp = await BareClient.connect(vm.monitor, options.oob);
  const disks = bareDisks(stage, false);
  await openImages(qmp, disks);
  await mirror(qmp, disks, strategy);
  await vm.awaitWrites(disks.length * WRITES_AROUND);
  const clock = startClock(vm);
  await act(qmp, disks);
  qmp.close();
  return clock.stop(disks.length);
}

async function committed(result: Promise<SagaResult>): Promise<void> {
  const { outcome, error } = await result;
  if (outcome !== 'committed') throw new Error(`the saga ended as ${outcome}: ${error?.message}`);
}

/** Times one run: the caller's wait, the gaps between the guest's writes, and STOP to RESUME by QEMU's own clock. */
function startClock(vm: GuestVm) {
  const eventsBefore = vm.witness.events.length;
  let beforeMarkMs: number | null = null;
  vm.resetGaps();
  const startedMs = systemClock.now();
  return {
    /** From here on gaps belong to the change itself; one that is open counts from its beginning. */
    mark(): void {
      beforeMarkMs = vm.gaps().maxMs;
      vm.resetGaps();
    },
    async stop(disks: number): Promise<Sample> {
      const wallMs = systemClock.now() - startedMs;
      await vm.awaitWrites(disks * WRITES_AROUND);
      const gapMs = vm.gaps().maxMs;
      const pausedMs = await pausedFor(vm, eventsBefore);
      const gapWithPreparationMs = beforeMarkMs === null ? null : Math.max(beforeMarkMs, gapMs);
      return { wallMs, gapMs, gapWithPreparationMs, pausedMs };
    },
  };
}

/** STOP to RESUME by QEMU's own clock, or null when the guest was not stopped. */
async function pausedFor(vm: GuestVm, from: number): Promise<number | null> {
  await vm.witness.execute('query-status'); // its reply comes after all events that are under way
  const events = vm.witness.events.slice(from);
  const stop = events.find(({ event }) => event === 'STOP');
  const resume = events.findLast(({ event }) => event === 'RESUME');
  if (stop === undefined && resume === undefined) return null;
  if (stop === undefined || resume === undefined) throw new Error('only one of STOP and RESUME came');
  return epochMs(resume) - epochMs(stop);
}

function epochMs({ timestamp }: GuestVm['witness']['events'][number]): number {
  return timestamp.seconds * 1000 + timestamp.microseconds / 1000;
}

/** The longest gap between two writes while no command is sent: nothing shorter can be seen. */
async function quietGap(vm: GuestVm): Promise<number> {
  vm.resetGaps();
  await sleep(systemClock, QUIET_MS);
  return vm.gaps().maxMs;
}

function newFile({ vm, label }: Pick<Stage, 'vm' | 'label'>, index: number): string {
  return join(vm.directory, `${label}-${index}.qcow2`);
}

function bareDisks(stage: Stage, overlay: boolean): readonly BareDisk[] {
  return stage.disks.map((disk, index) => ({
    ...disk,
    name: `${stage.label}-${index}`,
    newFile: newFile(stage, index),
    backing: overlay ? { file: disk.file, driver: disk.driver } : null,
    retiring: disk.nodes.flat(),
  }));
}

/** The guest's disks as they stand, in the order of their devices. */
async function look(vm: GuestVm): Promise<readonly GuestDisk[]> {
  const qmp = await openQmpClient(connectSocket(vm.monitor));
  const { disks } = await survey(qmp);
  qmp.close();
  await qmp.closed;
  return disks;
}

async function qemuVersion(vm: GuestVm): Promise<string> {
  const qmp = await openQmpClient(connectSocket(vm.monitor));
  qmp.close();
  await qmp.closed;
  return `${qmp.version.major}.${qmp.version.minor}.${qmp.version.micro}`;
}
