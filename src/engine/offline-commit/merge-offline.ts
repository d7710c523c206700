/**
 * The commit of images that no QEMU has open, from its first merge to its end: merge all, decide, rewrite headers,
 * remove what has left. Merging does not change what a chain reads, so until the decision a rollback does nothing;
 * after it the saga only rolls forward. What an earlier process did is read from the journal and not done again.
 */
import { BlocksagaError, type ErrorRecord, invariant } from '../../errors.ts';
import type { Files } from '../../images/files.ts';
import type { ImageName, Images } from '../../images/images.ts';
import type { Journal, Lease } from '../../journal/journal.ts';
import type { OfflineCommitPlan, OfflineMerge } from '../../operations/plan-commit-offline.ts';
import type { ChainImage, DiskPlan } from '../../plan/plan.ts';
import type { Clock } from '../../qmp/clock.ts';
import { Fence } from '../connection/fence.ts';
import { decision, failedOutcome, intent, outcome } from '../durable/history.ts';
import { leavingKept, namedBySagas } from '../removal/named-images.ts';
import { resultAsJson, type SagaResult } from '../running/result.ts';
import { expectPlannedFiles } from './expect-planned-files.ts';
import { type Merged, readMergeProgress } from './merge-progress.ts';
import { offlineResult } from './offline-commit-result.ts';

/** How often an image is merged again when another program writes to it between two merges. */
const MERGE_ROUNDS_MAX = 3;

/** What a saga without QEMU is run with. */
export interface OfflineParts {
  readonly journal: Journal;
  readonly lease: Lease;
  readonly plan: OfflineCommitPlan;
  readonly files: Files;
  readonly images: Images;
  readonly clock: Clock;
  /** Images that were said to be the right ones, though others stood under their names when this was planned. */
  readonly accepted?: readonly string[];
  /** Asks it to roll back, as long as the decision has not been taken. */
  readonly signal: AbortSignal | undefined;
}

interface Part {
  readonly disk: DiskPlan;
  readonly merge: OfflineMerge;
}

/** Runs it to its end, whatever it comes to. Throws VM_BUSY when another process has taken it over, JOURNAL. */
export async function runOfflineCommit(parts: OfflineParts): Promise<SagaResult> {
  return new OfflineCommit(parts).run();
}

class OfflineCommit {
  readonly #parts: OfflineParts;
  readonly #fence: Fence;
  readonly #merged: Map<number, Merged>;
  readonly #wasDecided: boolean;
  readonly #kept: readonly string[] | undefined;
  /** The disks, by index, into whose bases something may have been written. */
  readonly #begun: Set<number>;
  /** Not heeded any more once the decision is taken. */
  #signal: AbortSignal | undefined;

  constructor(parts: OfflineParts) {
    this.#parts = parts;
    this.#fence = new Fence(parts);
    const { merged, begun, decided, kept } = readMergeProgress(parts.journal.records(parts.lease.saga));
    this.#merged = merged;
    this.#begun = begun;
    this.#wasDecided = decided;
    this.#kept = kept;
    this.#signal = decided ? undefined : parts.signal;
  }

  async run(): Promise<SagaResult> {
    if (!this.#wasDecided) {
      const failure = await this.#attempt('mergeImage', async () => {
        for (const part of this.#disks()) await this.#merge(part);
        for (const part of this.#disks()) await this.#expectUnchanged(part);
        this.#refuseAborted();
      });
      if (failure !== null) return this.#end('rolledBack', failure, []);
      const { journal, lease } = this.#parts;
      await journal.append(lease, [decision('mergeImage', 'forward')], { durable: true });
      this.#signal = undefined;
    }
    let kept: readonly string[] = [];
    const failure = await this.#attempt('pointImage', async () => {
      if (this.#wasDecided) for (const part of this.#disks()) await this.#mergeWhatCameSince(part);
      for (const part of this.#disks()) await this.#point(part);
      kept = await this.#remove();
    });
    return this.#end(failure === null ? 'committed' : 'needsRecovery', failure, kept);
  }

  /** Skipped where nothing was written since it was done; done again it comes to the same. */
  async #merge(part: Part): Promise<void> {
    const { disk, merge } = part;
    const known = this.#merged.get(disk.index);
    if (known !== undefined && same(known.stamps, await this.#stamps(part))) return;
    const { images } = this.#parts;
    for (let round = 1; round <= MERGE_ROUNDS_MAX; round += 1) {
      this.#refuseAborted();
      await expectPlannedFiles(this.#parts, disk, disk.chain);
      await this.#expectChain(part);
      await this.#write([intent('mergeImage', { disk: disk.index })]);
      this.#begun.add(disk.index);
      const before = await this.#stamps(part);
      this.#fence.expectHeld();
      await images.commitInto(imageAt(disk, merge.top), imageAt(disk, merge.base), this.#signal);
      const stamps = await this.#stamps(part);
      const base = await this.#stamp(disk, imageAt(disk, merge.base));
      await this.#write([outcome('mergeImage', { disk: disk.index, stamps, base }, false)]);
      this.#merged.set(disk.index, { stamps, base });
      if (same(before, stamps)) return;
    }
    throw changed(disk, 'again and again while they were merged');
  }

  async #expectUnchanged(part: Part): Promise<void> {
    const known = this.#merged.get(part.disk.index);
    if (known !== undefined && same(known.stamps, await this.#stamps(part))) return;
    throw changed(part.disk, 'after they had been merged');
  }

  /**
   * The old front may have been booted after the decision to boot from the base: what that guest wrote is merged as
   * well, unless the base has been booted too. Then the decision stands, and the old front is kept.
   */
  async #mergeWhatCameSince(part: Part): Promise<void> {
    const { disk, merge } = part;
    const known = this.#merged.get(disk.index);
    if (merge.stored !== null || known === undefined || (await this.#wasWritten(part)) === false) return;
    if (known.base !== (await this.#stamp(disk, imageAt(disk, merge.base)))) return;
    await this.#merge(part);
  }

  /** Whether an image that was merged has been written to since; one that is gone has not. */
  async #wasWritten({ disk, merge }: Part): Promise<boolean> {
    const known = this.#merged.get(disk.index)?.stamps ?? [];
    for (const [at, image] of disk.chain.slice(merge.top, merge.base).entries()) {
      const sight = await this.#parts.images.look(image);
      if (sight.state === 'inUse') return true;
      if (sight.state === 'readable' && sight.stamp !== known[at]) return true;
    }
    return false;
  }

  async #point({ disk, merge }: Part): Promise<void> {
    const { stored, top, base } = merge;
    if (stored === null) return;
    const { images } = this.#parts;
    const above = imageAt(disk, top - 1);
    await expectPlannedFiles(this.#parts, disk, [above, imageAt(disk, base)]);
    const below = await this.#backingOf(disk, above);
    if (below?.stored === stored) return;
    if (below?.file !== imageAt(disk, top).file) {
      throw foreign(
        disk,
        `${above.file} stands on ${below?.file ?? 'nothing'} now, and this saga did not put it there`,
      );
    }
    await this.#write([intent('pointImage', { disk: disk.index })]);
    this.#fence.expectHeld();
    await images.pointAt(above, { stored, driver: imageAt(disk, base).driver });
    const now = await this.#backingOf(disk, above);
    if (now?.stored !== stored)
      throw foreign(disk, `${above.file} stands on ${now?.file ?? 'nothing'} after all`);
    await this.#write([outcome('pointImage', { disk: disk.index }, false)]);
  }

  /** Removes what has left the chains, if that was asked for; gives the files that stay all the same. */
  async #remove(): Promise<readonly string[]> {
    const { plan, journal, lease } = this.#parts;
    if (!plan.deletes) return [];
    if (this.#kept !== undefined) return this.#kept;
    const files = this.#fence.files(this.#parts.files);
    await this.#write([intent('removeLeaving', null)]);
    const named = await namedBySagas(journal, lease.saga, files);
    const kept: string[] = [];
    for (const part of this.#disks()) {
      const written = part.merge.top === 0 && (await this.#wasWritten(part));
      kept.push(...(await leavingKept(part, written, named, { files, images: this.#parts.images })));
    }
    await this.#write([outcome('removeLeaving', { kept }, false)]);
    return kept;
  }

  /** Runs `act`; what it throws is recorded and returned. Throws when it cannot be recorded. */
  async #attempt(step: string, act: () => Promise<void>): Promise<ErrorRecord | null> {
    try {
      await act();
      return null;
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      const placed = this.#asked(error).at({ saga: this.#parts.lease.saga, step }).toJSON();
      await this.#write([failedOutcome(step, placed)]);
      return placed;
    }
  }

  async #end(
    state: 'committed' | 'rolledBack' | 'needsRecovery',
    error: ErrorRecord | null,
    kept: readonly string[],
  ): Promise<SagaResult> {
    const { journal, lease, plan, images } = this.#parts;
    const facts = { id: lease.saga, plan, state, error, kept, begun: this.#begun, images };
    const result = await offlineResult(facts);
    await journal.end(lease, state, resultAsJson(result));
    return result;
  }

  /** The headers still say what they said when this was planned. */
  async #expectChain({ disk, merge }: Part): Promise<void> {
    for (let place = 0; place < merge.base; place += 1) {
      const below = await this.#backingOf(disk, imageAt(disk, place));
      const planned = imageAt(disk, place + 1).file;
      if (below?.file === planned) continue;
      throw foreign(
        disk,
        `${imageAt(disk, place).file} stood on ${planned}, and now on ${below?.file ?? 'nothing'}`,
      );
    }
  }

  async #stamps({ disk, merge }: Part): Promise<readonly string[]> {
    const stamps: string[] = [];
    for (const image of disk.chain.slice(merge.top, merge.base)) stamps.push(await this.#stamp(disk, image));
    return stamps;
  }

  async #stamp(disk: DiskPlan, image: ImageName): Promise<string> {
    return (await this.#read(disk, image)).stamp;
  }

  async #backingOf(disk: DiskPlan, image: ImageName) {
    return (await this.#read(disk, image)).backing;
  }

  async #read({ disk }: DiskPlan, image: ImageName) {
    const sight = await this.#parts.images.look(image);
    if (sight.state === 'readable') return sight;
    const why = {
      missing: 'is not there',
      inUse: 'is in use',
      unreadable: `cannot be read as ${image.driver}`,
    };
    const code = sight.state === 'inUse' ? 'DISK_BUSY' : 'FILES';
    throw new BlocksagaError(code, `disk ${disk}: ${image.file} ${why[sight.state]}`, { disk });
  }

  #refuseAborted(): void {
    if (this.#signal?.aborted) throw aborted();
  }

  /** A merge that was ended by the signal has failed for that only. */
  #asked(error: BlocksagaError): BlocksagaError {
    return this.#signal?.aborted && error.code === 'FILES' ? aborted() : error;
  }

  #write(records: Parameters<Journal['append']>[1]): Promise<void> {
    return this.#parts.journal.append(this.#parts.lease, records, { durable: true });
  }

  #disks(): readonly Part[] {
    const { disks, merges } = this.#parts.plan;
    return disks.map((disk, at) => {
      const merge = merges[at];
      invariant(merge !== undefined, `the plan says what becomes of disk ${at}`);
      return { disk, merge };
    });
  }
}

function imageAt({ chain }: DiskPlan, place: number): ChainImage {
  const image = chain[place];
  invariant(image !== undefined, `the chain has an image at ${place}`);
  return image;
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((each, at) => each === other[at]);
}

function aborted(): BlocksagaError {
  return new BlocksagaError('ABORTED', 'the saga was asked to roll back');
}

function changed({ disk }: DiskPlan, when: string): BlocksagaError {
  return new BlocksagaError('DISK_BUSY', `disk ${disk}: another program wrote to its images ${when}`, {
    disk,
  });
}

function foreign({ disk }: DiskPlan, why: string): BlocksagaError {
  return new BlocksagaError('FOREIGN', `disk ${disk}: ${why}`, { disk });
}
