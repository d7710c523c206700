/**
 * Makes the new image files, exclusively and with the saga's claim in each, so that a file which the saga may later remove
 * is provably its own. QEMU formats them afterwards. Where QEMU's files cannot be reached nothing is claimed, and nothing
 * will be removed.
 */
import { dirname } from 'node:path';
import { BlocksagaError } from '../../errors.ts';
import { openFiles, plainName } from '../../guest/graph.ts';
import { claimSizeBytes } from '../../images/claim-text.ts';
import type { FileFacts, Files } from '../../images/files.ts';
import { overlaysOn } from '../../images/overlays-on.ts';
import { imagesOfDisk } from '../../plan/chain-of-image.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import {
  type Came,
  type Claims,
  claimsToRelease,
  claimText,
  expectClosed,
  movedClaims,
  release,
  releasesOf,
  removeUnfinished,
  type Seen,
} from './release-claims.ts';
import { canLook, closeLooks, closeOurs, sizesInQemu } from './seen-by-qemu.ts';

export const claimFiles: Step = {
  name: 'claimFiles',
  withoutDevices: true,

  /** Which paths were free before anything was made: what an attempt without a known outcome may have created. */
  async observe({ files, plan }) {
    if (files === null) return [];
    const free: number[] = [];
    for (const disk of created(plan.disks)) {
      if ((await files.stat(disk.image.file)) === undefined) free.push(disk.index);
    }
    return free;
  },

  async probe({ files, plan, qmp }) {
    const facts = await statAll(files, plan.disks);
    const elsewhere = await notShared(files, plan);
    // Before this step ends nothing of the saga's can be where it does not make it itself.
    const taken = canLook(plan) ? await sizesInQemu(qmp, elsewhere) : new Map<number, number>();
    return probeDisks(plan.disks, disk => {
      if (taken.has(disk.index)) return 'foreign';
      if (files === null) return 'present';
      if (!disk.image.create) return 'absent'; // nothing is made, only looked at again
      if (elsewhere.includes(disk)) return 'present';
      const fact = facts.get(disk.index);
      if (fact === undefined) return 'absent';
      return fact.claim === claimText(disk) ? 'present' : 'foreign';
    });
  },

  async do(context, todo) {
    const { files, plan } = context;
    if (files !== null) await expectUnused(files, todo);
    if (!context.nothingSentYet) await removeUnfinished(files, plan.disks);
    // What an attempt before has made is the saga's too.
    const before = todo.length < plan.disks.length ? await certainClaims(context) : [];
    const claims = [...before.filter(({ index }) => !todo.some(disk => disk.index === index))];
    try {
      const elsewhere = (await notShared(files, plan)).filter(disk => todo.includes(disk));
      for (const disk of created(todo)) {
        if (files === null || elsewhere.includes(disk)) continue;
        const identity = await claim(files, disk);
        if (identity === undefined) {
          elsewhere.push(disk);
          continue;
        }
        claims.push({ index: disk.index, identity });
        await files.syncDirectory(disk.image.file);
      }
      await expectFree(context, elsewhere);
      return withMoved(await seenClaims(context, claims), await movedSince(context));
    } catch (error) {
      if (files !== null) await release(files, plan.disks, claims);
      throw error;
    }
  },

  /** QEMU may not have been asked yet whether it sees the files that this process finds. */
  async adopt(context) {
    await removeUnfinished(context.files, context.plan.disks);
    return withMoved(await seenClaims(context, await certainClaims(context)), await movedSince(context));
  },

  /** What stands under the names: what is not there any more then was not removed by this undo. */
  async observeUndo({ files, plan }) {
    const facts = await statAll(files, plan.disks);
    return created(plan.disks).flatMap((disk): Seen[] => {
      const fact = facts.get(disk.index);
      if (fact === undefined) return [];
      return [{ index: disk.index, identity: fact.identity, isClaimed: fact.claim === claimText(disk) }];
    });
  },

  async undo({ files, plan, observed, qmp, unplugged, unlinked, failure }, outcome): Promise<Came> {
    const mayBeLookedAt = files === null || files.isShared !== undefined;
    // The image of a disk that has left may stay open below a filter of an administrator's; what is not, is closed at the end.
    const there = created(plan.disks).filter(({ index }) => !unplugged.some(left => left.index === index));
    if (canLook(plan) && mayBeLookedAt) await closeLooks(qmp, there);
    const named = files === null ? [] : claimsToRelease(observed, outcome);
    // What an undo before has opened again is closed also where the file is not removed.
    const unclaimed = plan.disks.filter(
      ({ index }) => ![...named, ...unplugged].some(each => each.index === index),
    );
    if (canLook(plan) && unclaimed.length > 0) await closeOurs(qmp, unclaimed);
    if (files === null) return { instead: [], moved: [], isBlind: true };
    if (outcome === undefined) await removeUnfinished(files, plan.disks);
    const kept = new Set(unplugged.flatMap(({ file, keeps }) => [file, ...keeps]));
    // Nor is one removed that its disk has left and QEMU has open, below a filter of an administrator's.
    const open = unplugged.length === 0 ? kept : await openFiles(qmp);
    const isKept = ({ index }: { readonly index: number }) => {
      const file = plan.disks[index]?.image.file ?? '';
      return kept.has(file) || (unplugged.some(left => left.index === index) && open.has(plainName(file)));
    };
    const stoodOn = await areStoodOn(files, plan.disks, named);
    const claims = named.filter(claim => !isKept(claim) && !stoodOn.has(claim.index));
    await expectClosed(qmp, plan.disks, claims);
    const instead = await release(files, plan.disks, claims, unlinked);
    const isInDoubt = outcome === undefined && failure?.effect !== 'notApplied';
    return { instead, moved: isInDoubt ? await movedClaims(files, plan.disks) : [] };
  },

  undone: (observed, outcome, came) => releasesOf(observed, outcome, came as Came | undefined),
};

/** The disks, by index, on whose new images third parties' overlays stand: those stay, and are told at the end. */
async function areStoodOn(
  files: Files,
  disks: readonly DiskPlan[],
  claims: Claims,
): Promise<ReadonlySet<number>> {
  const known = new Set(disks.flatMap(imagesOfDisk));
  const found = new Set<number>();
  for (const { index, identity } of claims) {
    const file = disks[index]?.image.file ?? '';
    if ((await files.stat(file))?.identity !== identity) continue;
    if ((await overlaysOn(files, file, known)).length > 0) found.add(index);
  }
  return found;
}

/** Once more right in front of QEMU's first write: what stands there already may have been mounted since it was planned. */
async function expectUnused(files: Files, disks: readonly DiskPlan[]): Promise<void> {
  for (const { disk, image } of disks) {
    if (image.create || image.protocol === 'nbd') continue;
    const why = await files.whyInUse?.(image.file);
    if (why === undefined) continue;
    throw new BlocksagaError('TARGET_IN_USE', `disk ${disk}: ${image.file} must not be written to: ${why}`, {
      disk,
    });
  }
}

async function claim(files: Files, disk: DiskPlan): Promise<string | undefined> {
  try {
    return await files.createExclusive(
      disk.image.file,
      plainName(disk.file),
      claimText(disk),
      disk.image.access,
    );
  } catch (error) {
    throw error instanceof BlocksagaError ? error.at({ disk: disk.disk }) : error;
  }
}

/** When the outcome is not known: what holds our own claim. */
async function certainClaims({ files, plan }: StepContext): Promise<Claims> {
  const facts = await statAll(files, plan.disks);
  return created(plan.disks).flatMap(disk => {
    const fact = facts.get(disk.index);
    return fact?.claim === claimText(disk) ? [{ index: disk.index, identity: fact.identity }] : [];
  });
}

/** Whose new images QEMU makes where this process cannot, or may not: in a directory that only QEMU sees. */
async function notShared(files: Files | null, plan: Plan): Promise<DiskPlan[]> {
  const found: DiskPlan[] = [];
  for (const disk of created(plan.disks)) {
    const isShared = files === null ? false : await files.isShared?.(dirname(disk.image.file));
    if (isShared === false) found.push(disk);
  }
  return found;
}

/** QEMU would truncate what stands there. Throws TARGET_EXISTS. */
async function expectFree({ qmp, plan }: StepContext, disks: readonly DiskPlan[]): Promise<void> {
  if (!canLook(plan)) return;
  const taken = await sizesInQemu(qmp, disks);
  const disk = disks.find(({ index }) => taken.has(index));
  if (disk === undefined) return;
  throw new BlocksagaError(
    'TARGET_EXISTS',
    `disk ${disk.disk}: QEMU finds a file under the name ${disk.image.file} where it runs; name another one, or say that it may be reused`,
    { disk: disk.disk },
  );
}

/** The claims whose files QEMU is seen to have; the others are given up, and QEMU makes files of its own there. */
async function seenClaims(context: StepContext, claims: Claims): Promise<Claims> {
  const { files, plan, qmp } = context;
  if (files?.isShared === undefined) return claims;
  const unproved: DiskPlan[] = [];
  for (const disk of plan.disks) {
    if (!claims.some(({ index }) => index === disk.index)) continue;
    if ((await files.isShared(disk.image.file)) !== true) unproved.push(disk);
  }
  const sizes = canLook(plan) ? await sizesInQemu(qmp, unproved) : new Map<number, number>();
  const other = unproved.filter(disk => sizes.get(disk.index) !== claimSizeBytes(claimText(disk)));
  const isOther = ({ index }: { readonly index: number }) => other.some(disk => disk.index === index);
  await release(files, plan.disks, claims.filter(isOther));
  await expectFree(context, other);
  return claims.filter(each => !isOther(each));
}

/** Where an attempt before may have made files, in this process or an earlier one. */
async function movedSince({ files, plan, nothingSentYet }: StepContext): Promise<Came['moved']> {
  return files === null || nothingSentYet ? [] : movedClaims(files, plan.disks);
}

function withMoved(claims: Claims, moved: Came['moved']): Claims {
  return claims.map(claim => {
    const found = moved.find(({ index }) => index === claim.index);
    return found === undefined ? claim : { ...claim, moved: { file: found.file, identity: found.identity } };
  });
}

function created(disks: readonly DiskPlan[]): readonly DiskPlan[] {
  return disks.filter(disk => disk.image.create);
}

async function statAll(files: Files | null, disks: readonly DiskPlan[]) {
  const facts = new Map<number, FileFacts>();
  if (files === null) return facts;
  for (const disk of created(disks)) {
    const fact = await files.stat(disk.image.file);
    if (fact !== undefined) facts.set(disk.index, fact);
  }
  return facts;
}
