/**
 * Puts the chains below the targets of a snapshot's mirrors, which were opened alone before the snapshot was taken: a user
 * of the guest's image would have been moved onto the overlay. A target on an image of the disk's own chain is opened
 * anew on that before it is mirrored to. A target with a chain of its own gets it for the switch, since that may
 * be copied until then; QEMU takes it below a mirror's target from 5.0 on (`allow-write-only-overlay`,
 * qapi/block-core.json). Nothing here reads or writes what is in the images.
 */
import { BlocksagaError, invariant } from '../../errors.ts';
import { readGraph } from '../../guest/graph.ts';
import { openChain } from '../../guest/revive-source.ts';
import type { Files } from '../../images/files.ts';
import type { ChainImage, CopyPlan, DiskPlan } from '../../plan/plan.ts';
import type { Command, QmpClient } from '../../qmp/client.ts';
import { valueForDisks } from '../step/blame.ts';
import { throwFirst } from '../step/replies.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { openFormat } from './create-images.ts';

const CHAIN_DEPTH_MAX = 200;

export const standOnBases: Step<CopyPlan> = {
  name: 'standOnBases',
  irreversible: 'the undo of `createImages` closes these nodes too',
  probe: probeChains(disk => !hasOwnChain(disk)),

  async do({ qmp }, all) {
    const todo = all.filter(disk => !hasOwnChain(disk));
    const graph = await readGraph(qmp);
    const open = todo.filter(disk => graph.node(disk.names.image) !== undefined);
    const closed = open.map(({ names }) => closeNode(names.image));
    throwFirst(open, await qmp.pipeline(closed));
    throwFirst(todo, await qmp.pipeline(todo.map(disk => openFormat(onChain(disk)))));
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
  probe: probeChains(hasOwnChain),

  async do({ qmp }, all) {
    const own = all.filter(hasOwnChain);
    if (own.length === 0) return null;
    // Where the switch is tried again they are there from the first time.
    const depths = await readDepths(qmp);
    const todo = own.filter(disk => !stands(depths, disk));
    if (todo.length === 0) return null;
    const actions = todo.map(({ names }) => ({
      type: 'blockdev-snapshot' as const,
      data: { node: names.chain, overlay: names.image },
    }));
    const [stacked] = await qmp.pipeline([{ execute: 'transaction', arguments: { actions } }]);
    valueForDisks(todo, stacked);
    return null;
  },
};

/** Whether the target's backing images are ones that QEMU does not have open for the disk. */
export function hasOwnChain({ image }: DiskPlan): boolean {
  return image.backing !== null && image.backing.node === null;
}

function probeChains(isMeant: (disk: DiskPlan) => boolean) {
  return async ({ qmp, plan }: StepContext<CopyPlan>) => {
    const depths = await readDepths(qmp);
    return probeDisks(plan.disks, disk => (!isMeant(disk) || stands(depths, disk) ? 'present' : 'absent'));
  };
}

/** How many images are below each node. QEMU counts them only where it is not asked for a flat list (block/qapi.c). */
async function readDepths(qmp: QmpClient): Promise<ReadonlyMap<string, number>> {
  const nodes = await qmp.execute('query-named-block-nodes');
  return new Map(nodes.map(node => [node['node-name'] ?? '', node.backing_file_depth]));
}

function stands(depths: ReadonlyMap<string, number>, { names }: DiskPlan): boolean {
  return (depths.get(names.image) ?? 0) > 0;
}

function onChain(disk: DiskPlan): DiskPlan {
  return { ...disk, image: { ...disk.image, openBacking: true } };
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

function closeNode(name: string): Command<'blockdev-del'> {
  return { execute: 'blockdev-del', arguments: { 'node-name': name } };
}
