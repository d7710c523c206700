/**
 * Looks, when a saga has ended, whether the next boot would find the images that its disks are on: the last look at their names,
 * and for what was moved behind the decision the only one. It changes nothing.
 */
import { plainName } from '../../guest/graph.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import { type BootName, namesOf, type WrongName, wrongNames } from '../../steps/prepare/boot-names.ts';
import { stagesOf } from '../../steps/stages.ts';
import { recordsOfStage } from '../durable/stages.ts';
import { heldClaim } from '../removal/claims.ts';
import type { FiledSaga } from './leftovers.ts';

/** An image that a disk stands on, or that was made as its copy, and that is not found under its name. */
export interface Misnamed extends WrongName {
  /** The disk has left the guest, and was on that image last. */
  readonly unplugged?: true;
}

/** A disk at the end; null where QEMU could not be asked, or has it no more. */
interface Ended {
  readonly disk: string;
  readonly after: { readonly chain: readonly string[] } | null;
  readonly unplugged?: { readonly file: string };
}

/** All of them; none where this process sees no files of QEMU's. `copies`: of the disks that have copies, their plans. */
export async function findMisnamed(
  saga: FiledSaga,
  disks: readonly Ended[],
  copies: readonly DiskPlan[],
): Promise<readonly Misnamed[]> {
  const { files, plan } = saga;
  if (files === null) return [];
  const open = await files.openInQemu?.();
  const claims = claimsOf(saga);
  const stoodOn = disks.flatMap(({ disk, after }): BootName[] =>
    (after?.chain ?? [])
      .map(plainName)
      .filter(name => name.startsWith('/'))
      .map(file => ({
        ...{ disk, file, claim: claims.get(file), planned: plan.identities?.[file] },
        ...{ isOpen: true, mustStand: open !== undefined },
      })),
  );
  const wasOn = disks.flatMap(({ disk, unplugged }): BootName[] => {
    const file = plainName(unplugged?.file ?? '');
    const known = { claim: claims.get(file), planned: plan.identities?.[file] };
    return file.startsWith('/') ? [{ disk, file, ...known, isOpen: false, mustStand: true }] : [];
  });
  const copied = copies.flatMap(disk => namesOf(plan, disk, claims.get(disk.image.file), false));
  const seen = new Set<string>();
  const names = [...stoodOn, ...copied, ...wasOn].filter(({ file }) => !seen.has(file) && seen.add(file));
  const left = new Set(wasOn.map(({ disk }) => disk));
  const wrong = await wrongNames(files, names, open);
  return wrong.map(each => (left.has(each.disk) ? { ...each, unplugged: true } : each));
}

/** By their names, the files that the saga has made and not given up. */
function claimsOf({ id, plan, journal }: FiledSaga): ReadonlyMap<string, string> {
  const records = journal.records(id);
  return new Map(
    stagesOf(plan).flatMap(stage =>
      stage.plan.disks.flatMap(disk => {
        const claim = heldClaim(disk, recordsOfStage(records, stage.name));
        return claim === undefined ? [] : [[disk.image.file, claim] as const];
      }),
    ),
  );
}
