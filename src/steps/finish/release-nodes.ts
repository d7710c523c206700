/**
 * Closes what is no longer used: the images that have left the disks' chains, or the finished copies of a clone. Only nodes
 * are closed; an image that was the guest's is never removed. What a third party still uses stays, and is reported.
 */

import { leftBehind } from '../../guest/bitmaps.ts';
import { readGraph } from '../../guest/graph.ts';
import { closeNode, leaving } from '../prepare/close-images.ts';
import { openedAs } from '../prepare/create-images.ts';
import { standAlone } from '../prepare/reopen-image.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';

export const closeOldNodes: Step = {
  name: 'closeOldNodes',
  withoutDevices: true,
  irreversible: 'only cleans up after the decision',

  async probe({ qmp, plan }) {
    const graph = await readGraph(qmp);
    return probeDisks(plan.disks, disk =>
      leaving(disk).some(node => graph.node(node) !== undefined) ? 'absent' : 'present',
    );
  },

  async do(context, todo) {
    const { plan } = context;
    if (plan.operation === 'copy') await standAlone({ ...context, plan });
    const graph = await readGraph(context.qmp);
    const lost = leftBehind(plan, name => graph.node(name));
    const { kept } = await closeUnused(context, todo.flatMap(leaving));
    return { kept, ...(lost.length === 0 ? {} : { lost }) };
  },
};

export const closeCopies: Step = {
  name: 'closeCopies',
  withoutDevices: true,
  irreversible: 'the copies are complete and stay',

  async probe({ qmp, plan }) {
    const graph = await readGraph(qmp);
    return probeDisks(plan.disks, disk =>
      graph.node(disk.names.image) === undefined && graph.node(disk.names.imageFile) === undefined
        ? 'present'
        : 'absent',
    );
  },

  async do(context, todo) {
    const { kept } = await closeUnused(context, todo.flatMap(openedAs));
    return { kept };
  },
};

/** The nodes that QEMU has not closed. */
interface Closed {
  readonly kept: readonly string[];
}

/** What is refused is asked again: a node is in use for as long as the one above it is open. */
const ROUNDS = 4;

/** Asks QEMU to close each node, front first; QEMU refuses those in use. Returns the names that are still there. */
async function closeUnused({ qmp }: StepContext, nodes: readonly string[]): Promise<Closed> {
  let open = nodes;
  for (let round = 0; round <= ROUNDS; round += 1) {
    const graph = await readGraph(qmp);
    open = open.filter(node => graph.node(node) !== undefined);
    if (open.length === 0 || round === ROUNDS) break;
    await qmp.pipeline(open.map(closeNode));
  }
  return { kept: open };
}
