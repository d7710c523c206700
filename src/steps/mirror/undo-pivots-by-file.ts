/**
 * The undo of pivots where QEMU opens the images itself (before 3.1): every switched disk is put back on the file that
 * it was on: by a mirror onto that file, or by putting the overlays that were committed above their bases again.
 */

import { BlocksagaError, invariant } from '../../errors.ts';
import { type Graph, readGraph } from '../../guest/graph.ts';
import { deviceOf, named } from '../../guest/jobs-of-plan.ts';
import { refusedByName } from '../../guest/refused-by-name.ts';
import { openAgain, revivedName } from '../../guest/revive-source.ts';
import { leavingImages } from '../../plan/chain-of-image.ts';
import type { ChainImage, DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { Command, QmpClient } from '../../qmp/client.ts';
import type { StepContext } from '../step/step.ts';
import { expectNotRunSince, type Return, ranSinceMerged, runMirrorsBack } from './mirrors-back.ts';

/** Puts these disks back, and looks whether they are; none are left when a dead undo has put back all. */
export async function undoPivotsByFile(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  graph: Graph,
  back: Return,
): Promise<void> {
  const { qmp, plan } = context;
  // No image is to be open twice: what is left of the old chains goes first.
  await closeRetired(qmp, switched, graph);
  if (switched.length > 0) {
    if (plan.operation === 'copy') await mirrorBackByFile(context, switched, back);
    else await stackAgainByFile(context, switched, graph, back);
  }
  const after = await readGraph(qmp);
  // Nor is what was below the images of both sides until now, which QEMU has opened anew; also of the disks that an
  // earlier attempt has put back.
  await closeRetired(qmp, plan.disks, after);
  for (const disk of switched) {
    if (after.front(disk) === disk.node) continue;
    throw new BlocksagaError('VERIFY_FAILED', `disk ${disk.disk} could not be put back on ${disk.file}`, {
      disk: disk.disk,
    });
  }
}

async function closeRetired(qmp: QmpClient, disks: readonly DiskPlan[], graph: Graph): Promise<void> {
  const open = disks.flatMap(disk => disk.retiring).filter(node => graph.node(node) !== undefined);
  if (open.length === 0) return;
  await qmp.pipeline(
    open.map(node => ({ execute: 'blockdev-del', arguments: { 'node-name': node } }) as const),
  );
}

async function mirrorBackByFile(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  back: Return,
): Promise<void> {
  const { qmp, plan } = context;
  const graph = await readGraph(qmp);
  const commands = switched.map(
    (disk): Command<'drive-mirror'> => ({
      execute: 'drive-mirror',
      arguments: {
        ...named(plan, disk.names.undoJob),
        ...(plan.jobsVanishOnEnd === 'byId' ? nodeName(disk, graph) : {}),
        device: deviceOf(disk, disk.goal),
        target: disk.file,
        format: disk.driver,
        mode: 'existing',
        sync: back.isAlike ? 'none' : 'full',
      },
    }),
  );
  await runMirrorsBack(context, switched, commands, back);
}

/** The old name again, unless QEMU had made that up. */
function nodeName({ node, names }: DiskPlan, graph: Graph): { readonly 'node-name': string } {
  const isFree = node !== '' && !node.startsWith('#') && graph.node(node) === undefined;
  return { 'node-name': isFree ? node : names.revived };
}

/**
 * Puts the images that were above the goal back there, lowest first, each as QEMU puts an overlay that exists. It opens none that is
 * encrypted by itself: that is opened with its secret first.
 */
async function stackAgainByFile(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  graph: Graph,
  back: Return,
): Promise<void> {
  if (!back.isAlike) throw ranSinceMerged();
  const { qmp } = context;
  for (const disk of switched) {
    const above = leavingImages(disk);
    const reached = above.findIndex(({ file }) => graph.front(disk) === file);
    // Of a disk that is back in part the rest follows in any case.
    if (reached === -1) await expectNotRunSince(context, back);
    for (let place = (reached === -1 ? above.length : reached) - 1; place >= 0; place -= 1) {
      const now = await readGraph(qmp);
      if (above[place]?.secret !== undefined) {
        await putOpened(qmp, disk, place, now);
        continue;
      }
      const again = overlayAgain(disk, place, above[place], now);
      const [reply] = await qmp.pipeline([again]);
      if (!reply.ok) throw refusedByName(reply.error, disk, [again.arguments['snapshot-file']]);
    }
  }
}

async function putOpened(qmp: QmpClient, disk: DiskPlan, place: number, graph: Graph): Promise<void> {
  const overlay = revivedName(disk, place);
  // An undo that died may have opened it.
  if (graph.node(overlay) === undefined) await openAgain(qmp, disk, place, null);
  const put = {
    execute: 'blockdev-snapshot',
    arguments: { node: graph.frontName(disk) ?? '', overlay },
  } as const;
  const [reply] = await qmp.pipeline([put]);
  if (!reply.ok) throw reply.error.at({ disk: disk.disk });
}

function overlayAgain(
  disk: DiskPlan,
  place: number,
  image: ChainImage | undefined,
  graph: Graph,
): Command<'blockdev-snapshot-sync'> {
  invariant(image !== undefined, `the chain of disk ${disk.disk} has an image at ${place}`);
  const overlay = { 'snapshot-file': image.file, format: image.driver, mode: 'existing' } as const;
  const on =
    disk.drive === ''
      ? { 'node-name': graph.frontName(disk) ?? '', 'snapshot-node-name': revivedName(disk, place) }
      : { device: disk.drive };
  return { execute: 'blockdev-snapshot-sync', arguments: { ...on, ...overlay } };
}
