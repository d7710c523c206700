/**
 * What must be there when a saga has ended: the images that every disk stands on, and the files that came and went. It is
 * told from the operation, the chains as they were before, and the outcome alone. Pure.
 */
import type { CutImage } from '../../src/demo/ordered-cut.ts';
import { DISKS, type Operation } from './operation.ts';

/** The mirror of a new overlay, and the copy of the image below that the mirror may stand on. */
export const mirrorOf = (file: string): string => file.replace(/(\.\w+)$/, '.mirror$1');
export const copyOf = (file: string): string => file.replace(/(\.\w+)$/, '.copy$1');

type Chain = readonly string[];

/** Of one disk: the chain that comes of the old one and the new file. */
const SHAPES = {
  same: old => old,
  newImage: (_, file) => [file],
  newFront: ([, ...below], file) => [file, ...below],
  newOnLowest: (old, file) => [file, ...old.slice(-1)],
  overlay: (old, file) => [file, ...old],
  mirror: (old, file) => [mirrorOf(file), ...old],
  mirrorOnCopy: ([, ...below], file) => [mirrorOf(file), copyOf(file), ...below],
  flat: old => old.slice(0, 1),
  lowest: old => old.slice(-1),
  frontOnLowest: old => [...old.slice(0, 1), ...old.slice(-1)],
  below: old => old.slice(1),
} satisfies Record<string, (old: Chain, file: string) => Chain>;

/** What a chain may become. */
export type Shape = keyof typeof SHAPES;

/** What must be there. */
export interface Ending {
  /** By disk, front first. */
  readonly chains: readonly Chain[];
  /** Files that were not there before, and files that are not there any more. */
  readonly made: readonly string[];
  readonly gone: readonly string[];
  /** Files of the harness's own that may have come meanwhile. */
  readonly allowed: readonly string[];
  /** Images that were left at one instant. */
  readonly behind?: readonly CutImage[];
  /** What they hold: all that was acknowledged `before` the saga, or all that ever was. */
  readonly behindHolds?: 'before' | 'all';
  /** The disks show what they once held, and not what was written since. */
  readonly goesBackInTime: boolean;
}

/** How a saga may have ended. */
export type Ended = 'committed' | 'rolledBack' | 'untouched';

/** The endings that are right, the one to be expected first: others only where QEMU has died. */
export function endingsOf(
  operation: Operation,
  outcome: Ended,
  old: readonly Chain[],
  files: readonly string[],
): readonly [Ending, ...Ending[]] {
  if (outcome !== 'committed') return [ending(operation, 'same', old, files, [])];
  const { committed, orElse } = operation;
  const first = ending(operation, committed, old, files, files);
  return orElse === undefined ? [first] : [first, ending(operation, orElse, old, files, files)];
}

function ending(
  operation: Operation,
  shape: Shape,
  old: readonly Chain[],
  files: readonly string[],
  news: readonly string[],
): Ending {
  const { request, disks = DISKS, mirrors } = operation;
  const chains = old.map((chain, disk) => (disk < disks ? SHAPES[shape](chain, files[disk] ?? '') : chain));
  const before = new Set(old.flat());
  const reached = new Set(chains.flat());
  const deletes = 'delete' in request.options && request.options.delete === true;
  const left = [...before].filter(file => !reached.has(file));
  const clones = news.length > 0 && shape === 'same' && request.operation === 'copy';
  // An overlay that was mirrored stays and is told of.
  const passed = shape === 'mirror' || shape === 'mirrorOnCopy' || clones ? news : [];
  const isBack = request.operation === 'revert' && news.length > 0;
  return {
    chains,
    made: [...new Set([...reached, ...passed])].filter(file => !before.has(file)),
    gone: deletes ? left : [],
    allowed: mirrors === 'ownChain' ? files.map(copyOf) : [],
    ...behind({ shape, old, news, clones, isBack, deletes }),
    goesBackInTime: isBack,
  };
}

interface Facts {
  readonly shape: Shape;
  readonly old: readonly Chain[];
  readonly news: readonly string[];
  readonly clones: boolean;
  readonly isBack: boolean;
  readonly deletes: boolean;
}

/** The images that were in front before and are not any more, or the clones. */
function behind({ shape, old, news, clones, isBack, deletes }: Facts): Partial<Ending> {
  if (deletes) return {};
  if (clones) return { behind: images(news), behindHolds: 'before' };
  if (isBack) return { behind: images(old.map(chain => chain[0] ?? '')), behindHolds: 'all' };
  if (shape === 'mirror' || shape === 'mirrorOnCopy') return { behind: images(news), behindHolds: 'before' };
  if (FROM_BEHIND.has(shape))
    return { behind: images(old.map(chain => chain[0] ?? '')), behindHolds: 'before' };
  return {};
}

/** The old front stays as it was when the disk left it. */
const FROM_BEHIND: ReadonlySet<Shape> = new Set(['newImage', 'newFront', 'newOnLowest', 'overlay']);

const images = (files: readonly string[]): readonly CutImage[] => files.map(file => ({ file }));
