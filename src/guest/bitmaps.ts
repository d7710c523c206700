/** Which dirty bitmaps are where, from a look at all nodes: what is to go along when disks move, and what did not. Pure. */
import { leavingImages } from '../plan/chain-of-image.ts';
import { hasMirrors, type Plan, type SwitchPlan } from '../plan/plan.ts';
import type { BlockDeviceInfo, BlockDirtyInfo } from '../qmp/schema.generated.ts';
import type { Json } from '../qmp/transport.ts';

/** A bitmap that the image which a disk ends on is to have. */
export interface CarriedBitmap {
  readonly [key: string]: Json;
  /** The disk's index. */
  readonly index: number;
  readonly name: string;
  readonly granularity: number;
  readonly persistent: boolean;
  readonly recording: boolean;
  /** The nodes whose bitmaps of this name it is made of. */
  readonly from: readonly string[];
  /** That image has one of this name already. */
  readonly isThere: boolean;
}

/** What each disk's new image is to get, from a look at all nodes. */
export function bitmapsToCarry(
  plan: SwitchPlan,
  nodes: readonly BlockDeviceInfo[],
): readonly CarriedBitmap[] {
  if (plan.jobsVanishOnEnd !== undefined || !plan.capabilities.includes('block-dirty-bitmap-merge'))
    return [];
  const byName = new Map(nodes.map(node => [node['node-name'] ?? '', node]));
  return plan.disks.flatMap(disk => {
    const images = leavingImages(disk).flatMap(({ node }) => byName.get(node ?? '') ?? []);
    const into = byName.get(disk.goal);
    const [front] = images;
    if (front === undefined || into === undefined) return [];
    return namedBitmaps(front).flatMap((bitmap): readonly CarriedBitmap[] => {
      const from = recordedIn(images, bitmap.name);
      if (from === undefined) return [];
      return [
        {
          index: disk.index,
          name: bitmap.name,
          granularity: bitmap.granularity,
          persistent: bitmap.persistent && disk.image.driver === 'qcow2',
          recording: bitmap.recording,
          from,
          isThere: namedBitmaps(into).some(({ name }) => name === bitmap.name),
        },
      ];
    });
  });
}

/**
 * The nodes, front first, whose bitmaps of a name together say what has changed: a snapshot begins an empty one above that
 * of the image below. Undefined where that cannot be told in one bitmap.
 */
function recordedIn(images: readonly BlockDeviceInfo[], name: string): readonly string[] | undefined {
  const until = images.findIndex(node => namedBitmaps(node).every(bitmap => bitmap.name !== name));
  const having = until === -1 ? images : images.slice(0, until);
  const isOne = having.every(
    node =>
      node.image['virtual-size'] === having[0]?.image['virtual-size'] &&
      namedBitmaps(node).every(bitmap => bitmap.name !== name || bitmap.inconsistent !== true),
  );
  return isOne ? having.map(node => node['node-name'] ?? '') : undefined;
}

type NamedBitmap = BlockDirtyInfo & { readonly name: string };

export function namedBitmaps(node: BlockDeviceInfo | undefined): readonly NamedBitmap[] {
  return (node?.['dirty-bitmaps'] ?? []).filter((bitmap): bitmap is NamedBitmap => bitmap.name !== undefined);
}

/** The bitmaps of old active images that the new ones do not have, in words, while both are open. */
export function leftBehind(
  plan: Plan,
  node: (name: string) => BlockDeviceInfo | undefined,
): readonly string[] {
  if (!hasMirrors(plan)) return [];
  return plan.disks.flatMap(disk => {
    const front = node(disk.chain[0]?.node ?? disk.node);
    const goal = node(disk.goal);
    if (front === undefined || goal === undefined || front === goal) return [];
    const there = new Set(namedBitmaps(goal).map(({ name }) => name));
    return namedBitmaps(front)
      .filter(({ name, inconsistent }) => !there.has(name) && inconsistent !== true)
      .map(
        ({ name }) =>
          `disk ${disk.disk}: its dirty bitmap "${name}" did not come along, so that the next backup by it has to be a full one`,
      );
  });
}
