/**
 * Puts the chains below the targets of a snapshot's mirrors, which were opened alone before the snapshot was taken: a user
 * of the guest's image would have been moved onto the overlay. Each target is opened anew on the image below the overlay before
 * it is mirrored to: what the mirror leaves out is there, also for a guest that a third party switches too early. A target with a
 * chain of its own gets that for the switch, since it may be copied until then. A QEMU without `blockdev-reopen` does not
 * exchange the image below a node: there such a target stands alone until then, and QEMU takes its chain below a mirror's target
 * from 5.0 on (`allow-write-only-overlay`, qapi/block-core.json). Nothing here reads or writes what is in the images.
 */
import { BlocksagaError, invariant } from '../../errors.ts';
import { Edges } from '../../guest/edges.ts';
import { readGraph } from '../../guest/graph.ts';
import { openChain } from '../../guest/revive-source.ts';
import type { Files } from '../../images/files.ts';
import type { ChainImage, CopyPlan, DiskPlan, Plan } from '../../plan/plan.ts';
import type { Command, QmpClient } from '../../qmp/client.ts';
import { valueForDisks } from '../step/blame.ts';
import { throwFirst } from '../step/replies.ts';
import { probeDisks, type Step } from '../step/step.ts';
import { closeNode } from './close-images.ts';
import { openFormat } from './create-images.ts';
import { expectUntouched } from './expect-untouched.ts';

const CHAIN_DEPTH_MAX = 200;

export const standOnBases: Step<CopyPlan> = {
  name: 'standOnBases',
  irreversible: 'the undo of `createImages` closes these nodes too',

  async probe({ qmp, plan }) {
    const depths = await readDepths(qmp);
    return probeDisks(plan.disks, disk =>
      standsAlone(plan, disk) || stands(depths, disk) ? 'present' : 'absent',
    );
  },

  async do(context, all) {
    const { qmp, plan } = context;
    const todo = all.filter(disk => !standsAlone(plan, disk));
    // A node that is opened anew has forgotten who wrote to it.
    await expectUntouched(context, todo);
    const graph = await readGraph(qmp);
    const open = todo.filter(disk => graph.node(disk.names.image) !== undefined);
    const closed = open.map(({ names }) => closeNode(names.image));
    throwFirst(open, await qmp.pipeline(closed));
    throwFirst(todo, await qmp.pipeline(todo.map(disk => openFormat(onBase(disk)))));
    return null;
  },
};

export const openChains: Step<CopyPlan> = {
  name: 'openChains',

  async probe({ qmp, plan }) {
    const graph = await readGraph(qmp);
    return probeDisks(plan.disks, disk =>
      !hasOwnChain(disk) || graph.node(disk.names.chain) !== undefined ? 'present' : 'absent',
    );
  },

  async do({ qmp, files }, all) {
    const todo = all.filter(hasOwnChain);
    const commands: Command<'blockdev-add'>[] = [];
    for (const disk of todo) commands.push(openOwnChain(disk, await readChain(disk, files)));
    throwFirst(todo, await qmp.pipeline(commands));
    return null;
  },

  /** When the targets above are closed. */
  async undo({ qmp, plan }) {
    const graph = await readGraph(qmp);
    const open = plan.disks.filter(disk => graph.node(disk.names.chain) !== undefined);
    throwFirst(open, await qmp.pipeline(open.map(({ names }) => closeNode(names.chain))));
  },
};

/** With the guest stopped: QEMU 7.2 may die when a target in an iothread gets another image below it. */
export const attachChains: Step<CopyPlan> = {
  name: 'attachChains',
  irreversible: 'the undos of `createImages` and `openChains` close both ends',
  pause: 'outlives',

  async probe({ qmp, plan }) {
    if (!plan.disks.some(hasOwnChain)) return probeDisks(plan.disks, () => 'present'); // a QEMU that names no edges has none
    const edges = await askEdges(qmp);
    return probeDisks(plan.disks, disk => (isAttached(edges, disk) ? 'present' : 'absent'));
  },

  async do({ qmp, plan }, all) {
    if (!all.some(hasOwnChain)) return null;
    // Where the switch is tried again they are there from the first time.
    const edges = await askEdges(qmp);
    const todo = all.filter(disk => !isAttached(edges, disk));
    if (todo.length === 0) return null;
    const attach = canExchange(plan) ? exchangeBases(todo) : stack(todo);
    const [attached] = await qmp.pipeline([attach]);
    valueForDisks(todo, attached);
    return null;
  },
};

/** Whether the target's backing images are ones that QEMU does not have open for the disk. */
export function hasOwnChain({ image }: DiskPlan): boolean {
  return image.backing !== null && image.backing.node === null;
}

/** Whether nothing is below the target until its own chain is: the guest, switched to it by then, would read zeroes. */
function standsAlone(plan: Pick<Plan, 'capabilities'>, disk: DiskPlan): boolean {
  return hasOwnChain(disk) && !canExchange(plan);
}

/** Throws FOREIGN where the guest may have written to a target that stands alone: all that is not in it reads as zeroes there. */
export async function expectNotAlone(
  { qmp, plan }: { readonly qmp: QmpClient; readonly plan: Pick<Plan, 'capabilities'> },
  disks: readonly DiskPlan[],
): Promise<void> {
  const alone = disks.filter(disk => standsAlone(plan, disk));
  if (alone.length === 0) return;
  const edges = await askEdges(qmp);
  const [first] = alone.filter(disk => edges.child(disk.names.image, 'backing') === undefined);
  if (first === undefined) return;
  const { disk, file, image } = first;
  throw new BlocksagaError(
    'FOREIGN',
    `disk ${disk}: a third party has switched it to ${image.file} before that stood on its chain. What the guest has written since is in ` +
      `that file alone, all else in ${file}, and this QEMU cannot join them: keep both files, and shut the guest down`,
    { disk },
  );
}

function canExchange({ capabilities }: Pick<Plan, 'capabilities'>): boolean {
  return capabilities.includes('blockdev-reopen');
}

function isAttached(edges: Edges, disk: DiskPlan): boolean {
  return !hasOwnChain(disk) || edges.child(disk.names.image, 'backing') === disk.names.chain;
}

async function askEdges(qmp: QmpClient): Promise<Edges> {
  return new Edges(await qmp.execute('x-debug-query-block-graph'));
}

function exchangeBases(disks: readonly DiskPlan[]): Command {
  const options = disks.map(disk => ({ ...openFormat(disk).arguments, backing: disk.names.chain }));
  return { execute: 'blockdev-reopen', arguments: { options } };
}

function stack(disks: readonly DiskPlan[]): Command {
  const actions = disks.map(({ names }) => ({
    type: 'blockdev-snapshot' as const,
    data: { node: names.chain, overlay: names.image },
  }));
  return { execute: 'transaction', arguments: { actions } };
}

/** How many images are below each node. QEMU counts them only where it is not asked for a flat list (block/qapi.c). */
async function readDepths(qmp: QmpClient): Promise<ReadonlyMap<string, number>> {
  const nodes = await qmp.execute('query-named-block-nodes');
  return new Map(nodes.map(node => [node['node-name'] ?? '', node.backing_file_depth]));
}

function stands(depths: ReadonlyMap<string, number>, { names }: DiskPlan): boolean {
  return (depths.get(names.image) ?? 0) > 0;
}

/** On its chain, or until that is copied on the image of the disk's own that is below the overlay. */
function onBase(disk: DiskPlan): DiskPlan {
  const image = { ...disk.image, openBacking: true };
  const [, below] = disk.chain;
  return { ...disk, image: hasOwnChain(disk) && below !== undefined ? { ...image, openedOn: below } : image };
}

/** The chain below the target as its headers say it now, which the plan may have been too early to know. */
async function readChain({ disk, image }: DiskPlan, files: Files | null): Promise<readonly ChainImage[]> {
  let last = image.backing;
  const chain: ChainImage[] = [];
  while (last !== null && chain.length < CHAIN_DEPTH_MAX) {
    const { file, driver } = last;
    const info = await files?.imageInfo(file, driver);
    if (info === undefined) return [...chain, last, ...image.below]; // no `files` here that could read headers
    // A copy of the disk's own images is encrypted as they are.
    chain.push(info.encrypted === true ? { ...last, secret: image.secret ?? null } : last);
    const { backing } = info;
    if (backing !== null && backing.driver === null) {
      throw new BlocksagaError(
        'FILES',
        `${file} does not say which format its backing image ${backing.file} has; state it with qemu-img rebase -u -F`,
        { disk },
      );
    }
    last = backing === null ? null : { file: backing.file, driver: backing.driver ?? '', node: null };
  }
  return chain;
}

function openOwnChain({ names }: DiskPlan, images: readonly ChainImage[]): Command<'blockdev-add'> {
  const chain = openChain(images);
  invariant(typeof chain === 'object' && chain !== null, 'what is not open is opened by its file');
  return { execute: 'blockdev-add', arguments: { ...chain, 'node-name': names.chain } };
}
