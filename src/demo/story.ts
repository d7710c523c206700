/**
 * The demo's scenes: snapshot three disks, copy them to a place where one does not fit, copy them again, cut the power.
 * After each, the promise is checked from outside (`promises.ts`). It starts nothing and cleans nothing up.
 */
import { join } from 'node:path';
import type { Engine } from '../engine/api.ts';
import type { SagaResult } from '../engine/running/result.ts';
import type { Saga } from '../engine/running/saga.ts';
import { BlocksagaError } from '../errors.ts';
import type { DemoEvent, DiskProgress } from './demo-events.ts';
import { BIG_DISK } from './demo-images.ts';
import type { GuestVm } from './guest-vm.ts';
import { readCut } from './ordered-cut.ts';
import {
  type Check,
  checkAcknowledged,
  checkChains,
  checkFronts,
  checkInstant,
  checkNothingLeft,
  checkRuns,
  pausesIn,
} from './promises.ts';
import { lookAt, type Sight } from './sight.ts';
import type { TightPlace } from './tight-place.ts';

/** Bytes per second and disk, so that there is something to see. */
const BANDWIDTH = 24 * 1024 * 1024;
/** The guest must write so many times between two scenes, in rounds so that the demo can be stopped in between. */
const WRITES_A_ROUND = 8;
const ROUNDS = 4;
const WRITES_DEADLINE_MS = 120_000;
const PROGRESS_STEP_PERCENT = 50;
const MAX_BLACKOUT_MS = 1_000;

/** What the story is told with. */
export interface Stage {
  readonly vm: GuestVm;
  readonly engine: Engine;
  readonly tight: TightPlace;
  /** Where the guest's images are, and where the new ones go. */
  readonly directory: string;
  /** Aborts when the demo is to end: a saga under way is rolled back, and no other is begun. */
  readonly stopped: AbortSignal;
  tell(event: DemoEvent): void;
}

/** Plays all scenes and tells the result; true when every check holds. Throws the reason when it is stopped. */
export async function tellStory(stage: Stage): Promise<boolean> {
  const story = new Story(stage);
  await story.begin();
  const overlays = await story.snapshot();
  await story.copyWithoutRoom(overlays);
  const copied = await story.copy(overlays);
  await story.cutPower(copied.files);
  return story.end(copied);
}

interface Copied {
  readonly files: readonly string[];
  readonly result: SagaResult;
  readonly guestGapMs: number;
  readonly pausedMs: number;
}

/** What happened to the guest while a saga ran. */
interface Played {
  readonly before: Sight;
  readonly after: Sight;
  readonly result: SagaResult;
  readonly guestGapMs: number;
  readonly pausesMs: readonly number[];
  readonly written: number;
}

class Story {
  readonly #stage: Stage;
  readonly #checks: Check[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  async begin(): Promise<void> {
    const { vm } = this.#stage;
    const version = (await vm.witness.execute('query-version')) as { readonly qemu: Record<string, number> };
    const { major, minor, micro } = version.qemu;
    await this.#awaitWrites();
    this.#stage.tell({
      type: 'guest',
      qemu: `${major}.${minor}.${micro}`,
      disks: vm.disks.length,
      acknowledged: vm.acknowledged(),
    });
  }

  /** Scene 1; returns the overlays that are in front then. */
  async snapshot(): Promise<readonly string[]> {
    const { engine, vm } = this.#stage;
    this.#scene('1. Snapshot all disks at one instant');
    const overlays = this.#files(this.#stage.directory, 'snap');
    const bases = vm.disks.map(disk => disk.file);
    const disks = vm.disks.map(({ device }, at) => ({ disk: device, overlay: overlays[at] ?? '' }));
    const played = await this.#play(() => engine.snapshot({ qmp: vm.monitor, disks }));
    this.#chains(played);
    this.#outcome(played, 'committed');
    this.#check(checkFronts(played.after, overlays, 'each disk is on its overlay'));
    this.#check(await this.#instant(bases, 'the images left behind', true));
    this.#checkRest(played, overlays);
    return overlays;
  }

  /** Scene 2: one target cannot hold its disk. */
  async copyWithoutRoom(fronts: readonly string[]): Promise<void> {
    const { directory, tight, vm } = this.#stage;
    this.#scene(`2. Copy all disks, but ${deviceOf(vm, BIG_DISK)} to where it does not fit (${tight.words})`);
    const targets = this.#files(directory, 'copy');
    targets[BIG_DISK] = join(tight.directory, `copy${BIG_DISK}.qcow2`);
    await tight.tighten(vm.pid);
    const played = await this.#play(() => this.#copyTo(targets));
    await tight.loosen(vm.pid);
    this.#outcome(played, 'rolledBack');
    this.#chains(played);
    this.#check(checkFronts(played.after, fronts, 'each disk is still on the image it was on'));
    this.#checkRest(played, []);
  }

  /** Scene 3: the same where there is room. */
  async copy(fronts: readonly string[]): Promise<Copied> {
    this.#scene('3. Copy all disks again, to where there is room, and switch over');
    const targets = this.#files(this.#stage.directory, 'copy');
    const played = await this.#play(() => this.#copyTo(targets));
    this.#outcome(played, 'committed');
    this.#chains(played);
    this.#check(checkFronts(played.after, targets, 'each disk is on its copy'));
    this.#check(await this.#instant(fronts, 'the images left behind', false));
    this.#checkRest(played, targets);
    const { result, guestGapMs, pausesMs } = played;
    return { files: targets, result, guestGapMs, pausedMs: longestOf(pausesMs) };
  }

  /** Scene 4: what an end without warning leaves. */
  async cutPower(files: readonly string[]): Promise<void> {
    const { vm } = this.#stage;
    this.#scene('4. Cut the power: kill QEMU while the guest writes');
    await vm.kill();
    const cut = await readCut(files.map(file => ({ file })));
    this.#check(checkInstant(cut, 'the new images'));
    this.#check(checkAcknowledged(cut, vm.acknowledged()));
  }

  end(copied: Copied): boolean {
    const failed = this.#checks.filter(check => !check.holds).length;
    const { result, guestGapMs, pausedMs } = copied;
    this.#stage.tell({
      type: 'result',
      holds: failed === 0,
      checks: this.#checks.length,
      failed,
      strategy: result.strategy,
      pausedMs,
      guestGapMs,
      disks: result.disks.length,
    });
    return failed === 0;
  }

  #copyTo(targets: readonly string[]): Promise<Saga> {
    const { engine, vm } = this.#stage;
    return engine.copy({
      qmp: vm.monitor,
      disks: vm.disks.map(({ device }, at) => ({ disk: device, to: targets[at] ?? '' })),
      bandwidth: BANDWIDTH,
      maxBlackoutMs: MAX_BLACKOUT_MS,
    });
  }

  /** Runs one saga between two looks; the guest must write on after it. */
  async #play(start: () => Promise<Saga>): Promise<Played> {
    const { stopped, vm } = this.#stage;
    stopped.throwIfAborted();
    const before = await this.#look();
    const seen = vm.witness.events.length;
    vm.resetGaps();
    const saga = await start();
    this.#follow(saga);
    const result = await untilStopped(saga, stopped);
    const ended = vm.acknowledged();
    await this.#awaitWrites().catch(unlessLate); // then it has not written, and the check says so
    const after = await this.#look();
    return {
      before,
      after,
      result,
      guestGapMs: vm.gaps().maxMs,
      pausesMs: pausesIn(vm.witness.events.slice(seen)),
      written: vm.acknowledged() - ended,
    };
  }

  async #awaitWrites(): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      this.#stage.stopped.throwIfAborted();
      await this.#stage.vm.awaitWrites(WRITES_A_ROUND, WRITES_DEADLINE_MS);
    }
  }

  #follow(saga: Saga): void {
    const disks = new Map<string, DiskProgress>();
    let told = 0;
    saga.subscribe(notice => {
      if (notice.type !== 'progress') return;
      const { disk, status, currentBytes, totalBytes } = notice;
      const percent = totalBytes === 0 ? 0 : Math.floor((100 * currentBytes) / totalBytes);
      disks.set(disk, { disk, status, percent });
      const sum = [...disks.values()].reduce((total, each) => total + each.percent, 0);
      if (sum / saga.plan.disks.length < told + PROGRESS_STEP_PERCENT) return;
      told += PROGRESS_STEP_PERCENT;
      this.#stage.tell({ type: 'progress', disks: [...disks.values()] });
    });
  }

  #outcome(played: Played, expected: SagaResult['outcome']): void {
    const { saga, operation, outcome, strategy, blackoutMs, error } = played.result;
    const { guestGapMs } = played;
    this.#stage.tell({ type: 'saga', saga, operation, outcome, strategy, blackoutMs, guestGapMs, error });
    const what = `the saga ended ${outcome}${outcome === expected ? '' : ` (expected: ${expected})`}`;
    if (outcome !== expected) this.#check({ promise: 'I1', holds: false, what });
  }

  #checkRest(played: Played, newFiles: readonly string[]): void {
    const { before, after, written, pausesMs } = played;
    this.#check(checkChains(before, after));
    this.#check(checkNothingLeft(before, after, newFiles));
    this.#check(checkRuns(after, written, pausesMs, MAX_BLACKOUT_MS));
  }

  async #instant(files: readonly string[], words: string, shared: boolean): Promise<Check> {
    return checkInstant(
      await readCut(
        files.map(file => ({ file })),
        { shared },
      ),
      words,
    );
  }

  #check(check: Check): void {
    this.#checks.push(check);
    this.#stage.tell({ type: 'check', ...check });
  }

  #look(): Promise<Sight> {
    return lookAt(this.#stage.vm, [this.#stage.directory, this.#stage.tight.directory]);
  }

  #files(directory: string, name: string): string[] {
    return this.#stage.vm.disks.map((_, disk) => join(directory, `${name}${disk}.qcow2`));
  }

  #scene(title: string): void {
    this.#stage.tell({ type: 'scene', title });
  }

  #chains({ before, after }: Played): void {
    this.#stage.tell({ type: 'chains', before: before.disks, after: after.disks });
  }
}

function unlessLate(error: unknown): void {
  if (!(error instanceof BlocksagaError) || error.code !== 'DEADLINE') throw error;
}

/** The saga's result; when `stopped` aborts, the saga is rolled back first. */
async function untilStopped(saga: Saga, stopped: AbortSignal): Promise<SagaResult> {
  const abort = () => {
    saga.abort().catch(() => undefined); // it has ended, and its result says how
  };
  if (stopped.aborted) abort();
  stopped.addEventListener('abort', abort, { once: true });
  try {
    return await saga.result;
  } finally {
    stopped.removeEventListener('abort', abort);
  }
}

/** The longest pause in milliseconds, to the microsecond as QEMU tells them. */
function longestOf(pausesMs: readonly number[]): number {
  return Math.round(Math.max(0, ...pausesMs) * 1000) / 1000;
}

function deviceOf(vm: GuestVm, disk: number): string {
  return vm.disks[disk]?.device ?? `disk ${disk}`;
}
