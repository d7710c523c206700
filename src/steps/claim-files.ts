/**
 * Makes the new image files, empty and exclusively, so that a file which the saga may later remove is provably its own.
 * QEMU formats them afterwards. Where QEMU's files cannot be reached nothing is claimed, and nothing will be removed.
 */
import { dirname } from 'node:path';
import { BlocksagaError, invariant } from '../errors.ts';
import type { Json } from '../qmp/transport.ts';
import type { Files } from './files.ts';
import type { DiskPlan } from './plan.ts';
import { probeDisks, type Step, type StepContext } from './step.ts';

/** What was claimed: the disk's index, and the identity of the file made for it. */
type Claims = readonly { readonly index: number; readonly identity: string }[];

export const claimFiles: Step = {
  name: 'claimFiles',

  /** Which paths were free before anything was made: what an attempt without a known outcome may have created. */
  async observe({ files, plan }) {
    if (files === null) return [];
    const free: number[] = [];
    for (const disk of created(plan.disks)) {
      if ((await files.stat(disk.image.file)) === undefined) free.push(disk.index);
    }
    return free;
  },

  async probe({ files, plan, observed }) {
    const facts = await statAll(files, plan.disks);
    return probeDisks(plan.disks, disk => {
      if (!disk.image.create || files === null) return 'present';
      const fact = facts.get(disk.index);
      if (fact === undefined) return 'absent';
      return fact.sizeBytes === 0 && wasFree(observed, disk) ? 'present' : 'foreign';
    });
  },

  async do({ files, plan }, todo) {
    if (files === null) return [];
    const claims: { index: number; identity: string }[] = [];
    try {
      for (const disk of created(todo)) {
        const identity = await claim(files, disk);
        if (identity === undefined) continue;
        claims.push({ index: disk.index, identity });
        await files.syncDirectory(disk.image.file);
      }
    } catch (error) {
      await release(files, plan.disks, claims);
      throw error;
    }
    return claims;
  },

  adopt: likelyClaims,

  async undo(context, outcome) {
    const { files, plan } = context;
    if (files === null) return;
    const claims = (outcome as Claims | null | undefined) ?? (await likelyClaims(context));
    await release(files, plan.disks, claims);
  },
};

async function claim(files: Files, disk: DiskPlan): Promise<string | undefined> {
  try {
    return await files.createExclusive(disk.image.file, disk.file);
  } catch (error) {
    throw error instanceof BlocksagaError ? error.at({ disk: disk.disk }) : error;
  }
}

/** When the outcome is not known: what was free, is empty now and stands at our path can only be our own claim. */
async function likelyClaims({ files, plan, observed, failure }: StepContext): Promise<Claims> {
  const facts = await statAll(files, plan.disks);
  const strangers = failure?.code === 'TARGET_EXISTS' ? failure.disk : undefined;
  return created(plan.disks).flatMap(disk => {
    const fact = facts.get(disk.index);
    if (fact?.sizeBytes !== 0 || !wasFree(observed, disk) || disk.disk === strangers) return [];
    return [{ index: disk.index, identity: fact.identity }];
  });
}

function created(disks: readonly DiskPlan[]): readonly DiskPlan[] {
  return disks.filter(disk => disk.image.create);
}

function wasFree(observed: Json, disk: DiskPlan): boolean {
  return Array.isArray(observed) && observed.includes(disk.index);
}

async function statAll(files: Files | null, disks: readonly DiskPlan[]) {
  const facts = new Map<number, { sizeBytes: number; identity: string }>();
  if (files === null) return facts;
  for (const disk of created(disks)) {
    const fact = await files.stat(disk.image.file);
    if (fact !== undefined) facts.set(disk.index, fact);
  }
  return facts;
}

async function release(files: Files, disks: readonly DiskPlan[], claims: Claims): Promise<void> {
  for (const { index, identity } of claims) {
    const disk = disks[index];
    invariant(disk?.index === index, `claim of disk ${index} that the plan does not have`);
    await files.unlink(disk.image.file, identity);
  }
  // Not durable before the directory is: a power cut would bring back what the saga says is gone.
  const inEach = new Map(claims.map(({ index }) => [dirname(disks[index]?.image.file ?? ''), index]));
  for (const index of inEach.values()) await files.syncDirectory(disks[index]?.image.file ?? '');
}
