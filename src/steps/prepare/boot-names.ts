/**
 * Whether images are still found under the names by which a boot looks for them, as far as the file system and /proc tell. It asks
 * no QEMU, changes nothing, and decides nothing about what follows.
 */
import { dirname } from 'node:path';
import { definedOnly } from '../../errors.ts';
import { plainName } from '../../guest/graph.ts';
import type { FileFacts, Files } from '../../images/files.ts';
import { chainOfImage, filesOfImage } from '../../plan/chain-of-image.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';

/** A name that does not lead to the image that it is to lead to. */
export interface WrongName {
  readonly disk: string;
  readonly file: string;
  /** What is there instead, in words for people. */
  readonly found:
    | 'nothing'
    | 'another file than the one that QEMU has open'
    | 'another file than the one that this saga made'
    | 'another file than when this saga was planned'
    | 'another file than the one that QEMU had open when this saga was planned'
    | 'a file that could not be proved to be the one that QEMU had open when this saga was planned';
  /** The identity of the file that it is to lead to, where that is known. */
  readonly identity?: string;
}

/** One name, and what is known of the file that it is to lead to. */
export interface BootName {
  readonly disk: string;
  readonly file: string;
  /** The identity of the file that the saga has made there. */
  readonly claim?: string | undefined;
  /** That of the file that stood there when the saga was planned. */
  readonly planned?: string | undefined;
  /** That of the file that stood there then instead of the one that QEMU had open; null for nothing. */
  readonly astray?: string | null | undefined;
  /** Whether QEMU has that file open now. */
  readonly isOpen: boolean;
  /** Whether something must stand there, though nothing is known of it. */
  readonly mustStand: boolean;
}

/** The names that lead elsewhere, in the order of those asked for; none in a directory that QEMU does not share. */
export async function wrongNames(
  files: Files,
  names: readonly BootName[],
  open: ReadonlySet<string> | undefined,
): Promise<readonly WrongName[]> {
  const found = await Promise.all(
    names.map(async (name): Promise<WrongName[]> => {
      const { disk, file } = name;
      if ((await files.isShared?.(dirname(file))) === false) return [];
      const wrong = whatIsWrong(await files.stat(file), name, open);
      const identity = name.claim ?? name.planned;
      return wrong === undefined ? [] : [{ disk, file, found: wrong, ...definedOnly({ identity }) }];
    }),
  );
  return found.flat();
}

function whatIsWrong(
  facts: FileFacts | undefined,
  { claim, planned, astray, isOpen, mustStand }: BootName,
  open: ReadonlySet<string> | undefined,
): WrongName['found'] | undefined {
  const isKnown =
    claim !== undefined || planned !== undefined || astray !== undefined || (isOpen && open !== undefined);
  if (facts === undefined) return mustStand || isKnown ? 'nothing' : undefined;
  const { identity, kind } = facts;
  if (claim !== undefined && claim !== identity) return 'another file than the one that this saga made';
  if (planned !== undefined && planned !== identity) return 'another file than when this saga was planned';
  const isPlain = kind === 'file';
  if (isOpen && isPlain && open?.has(identity) === false)
    return 'another file than the one that QEMU has open';
  // Once QEMU has closed the one that it had open nothing tells any more which one that was.
  if (astray === undefined || open?.has(identity)) return undefined;
  return identity === astray
    ? 'another file than the one that QEMU had open when this saga was planned'
    : 'a file that could not be proved to be the one that QEMU had open when this saga was planned';
}

/**
 * The names that a boot of the disk's new image goes by, front first. `isFrontOpen`: whether QEMU has opened that, or makes
 * it yet.
 */
export function namesOf(
  { identities = {}, operation }: Pick<Plan, 'identities' | 'operation'>,
  disk: DiskPlan,
  claim: string | undefined,
  isFrontOpen: boolean,
): readonly BootName[] {
  const [front, ...rest] = chainOfImage(disk);
  // Whatever the header of a reused overlay says, a snapshot puts it on the image that the disk is on.
  const below = operation === 'snapshot' ? disk.chain : rest;
  const { create, protocol } = disk.image;
  const inUse = new Set(disk.chain.flatMap(filesOfImage).map(plainName));
  const named = (file: string): BootName[] =>
    file.startsWith('/')
      ? [{ disk: disk.disk, file, planned: identities[file], isOpen: inUse.has(file), mustStand: false }]
      : [];
  const isNew = front !== undefined && !inUse.has(plainName(front.file));
  const first = (front === undefined ? [] : filesOfImage(front)).map(plainName).flatMap(named);
  return [
    ...(protocol !== 'file'
      ? []
      : first.map(name =>
          isNew
            ? { ...name, claim, isOpen: isFrontOpen, mustStand: !create || claim !== undefined }
            : { ...name, mustStand: true },
        )),
    ...below
      .filter(({ unnameable }) => unnameable === undefined)
      .flatMap(filesOfImage)
      .map(plainName)
      .flatMap(named),
  ];
}

/** Those of the images that the disk was on when it was planned, front first. */
export function oldNamesOf(
  { identities = {} }: Pick<Plan, 'identities'>,
  disk: DiskPlan,
): readonly BootName[] {
  return disk.chain
    .filter(({ unnameable }) => unnameable === undefined)
    .flatMap(filesOfImage)
    .map(plainName)
    .filter(file => file.startsWith('/'))
    .map(file => ({ disk: disk.disk, file, planned: identities[file], isOpen: true, mustStand: true }));
}

/** The names that an image of the disk's own chain has now, with which a plan is compared later. */
export function standingFiles({ chain, image }: DiskPlan): readonly string[] {
  const reused = image.create || image.protocol !== 'file' ? [] : [image.file];
  const own = [...chain, ...image.below].filter(({ unnameable }) => unnameable === undefined);
  return [...own.flatMap(filesOfImage), ...reused].map(plainName).filter(name => name.startsWith('/'));
}
