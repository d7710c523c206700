/**
 * Looks, when a saga has ended, whether the next boot would find the images that its disks are on: the last look at their names,
 * and for what was moved behind the decision the only one. It changes nothing.
 */
import { plainName } from '../../guest/graph.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import type { ChainImage, DiskPlan } from '../../plan/plan.ts';
import {
  type BootName,
  namesOf,
  oldNamesOf,
  type WrongName,
  wrongNames,
} from '../../steps/prepare/boot-names.ts';
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

/** The images that are known by the plan alone: copies, and those of disks of which QEMU did not say where they are. */
interface ByPlan {
  readonly copies: readonly DiskPlan[];
  /** Disks that were left on their new images, and on their old ones. */
  readonly onNew: readonly DiskPlan[];
  readonly onOld: readonly DiskPlan[];
}

/** All of them; none where this process sees no files of QEMU's. */
export async function findMisnamed(
  saga: FiledSaga,
  disks: readonly Ended[],
  { copies, onNew, onOld }: ByPlan,
): Promise<readonly Misnamed[]> {
  const { files, plan } = saga;
  if (files === null) return [];
  const open = await files.openInQemu?.();
  const claims = claimsOf(saga);
  const namesIn = (disk: string, chain: readonly string[]) =>
    chain
      .map(plainName)
      .filter(name => name.startsWith('/'))
      .map(file => ({ disk, file, claim: claims.get(file), planned: plan.identities?.[file] }));
  const stoodOn = disks.flatMap(({ disk, after }): BootName[] => {
    const chain = after?.chain ?? [];
    return [
      ...namesIn(disk, chain).map(name => ({ ...name, isOpen: true, mustStand: open !== undefined })),
      ...namesIn(disk, untoldBelow(plan, disk, chain)).map(name => ({
        ...name,
        isOpen: false,
        mustStand: false,
      })),
    ];
  });
  const wasOn = disks.flatMap(({ disk, unplugged }): BootName[] => {
    if (unplugged === undefined) return [];
    const below = belowByPlan(plan, disk, unplugged.file).map(({ file }) => file);
    return namesIn(disk, [unplugged.file, ...below]).map(name => ({
      ...name,
      isOpen: false,
      mustStand: true,
    }));
  });
  const newNames = (disk: DiskPlan) => namesOf(plan, disk, claims.get(disk.image.file), false);
  const copied = copies.flatMap(newNames);
  // A device that has left unseen has closed its images.
  const unseen = [...onNew.flatMap(newNames), ...onOld.flatMap(disk => oldNamesOf(plan, disk))].map(name => ({
    ...name,
    isOpen: false,
  }));
  const seen = new Set<string>();
  const names = [...stoodOn, ...copied, ...wasOn, ...unseen]
    .filter(({ file }) => !seen.has(file) && seen.add(file))
    .map(name => ({ ...name, astray: plan.astray?.[name.file] }));
  const left = new Set(wasOn.map(({ disk }) => disk));
  const wrong = await wrongNames(files, names, open);
  return wrong.map(each => (left.has(each.disk) ? { ...each, unplugged: true } : each));
}

/** Before 1.6 QEMU tells of the two uppermost images of a disk: those that the plan knows below them. */
function untoldBelow(plan: FiledSaga['plan'], name: string, [, last]: readonly string[]): readonly string[] {
  if (last === undefined) return [];
  return belowByPlan(plan, name, last).flatMap(({ file, node }) => (node === null ? [file] : []));
}

/** What an image of a disk stands on by the plan, on its old side or its new one. */
function belowByPlan(plan: FiledSaga['plan'], name: string, image: string): readonly ChainImage[] {
  const own = stagesOf(plan).flatMap(stage => stage.plan.disks.filter(({ disk }) => disk === name));
  const chains = own.flatMap(disk => [chainOfImage(disk), disk.chain]);
  return chains.flatMap(chain => {
    const at = chain.findIndex(({ file }) => file === image);
    return at < 0 ? [] : chain.slice(at + 1);
  });
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
