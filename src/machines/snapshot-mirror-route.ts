/**
 * The order of steps of a snapshot whose overlays are then mirrored to a second place: two stages with one rollback.
 * Until the switch everything can be rolled back, or only the mirrors.
 */
import { only, type Phase, type Route } from './route.ts';
import type { SnapshotMirrorShape } from './shape.ts';
import { cleaningUp, dismissing, keyed, mirroring, ready, switching } from './switch-route.ts';

export function snapshotMirrorRoute(shape: SnapshotMirrorShape): Route {
  const { marksQemu, publishes, iothreads, qemuOpensTargets, filtersLive } = shape;
  return {
    chart: 'snapshotMirror',
    phases: [
      preparing(shape),
      snapshotting(shape),
      mirroring({ step: 'mirror.mirrorDisks' }, filtersLive, 'mirror'),
      ready(
        [
          { step: 'mirror.awaitSignal' },
          // Targets stand on the chains: those are closed when the targets are.
          ...only(!qemuOpensTargets, {
            step: 'mirror.openChains',
            undoneAfter: 'mirror.createImages',
          }),
        ],
        'mirror',
      ),
      switching(shape, { stage: 'mirror', attachesChains: !qemuOpensTargets }),
      cleaningUp([
        ...only(publishes, keyed('mirror', 'publishDefinitions')),
        ...only(filtersLive, keyed('mirror', 'removeFiltersLive')),
        dismissing(iothreads, 'mirror.dismissMirrors'),
        'mirror.closeOldNodes',
        ...only(marksQemu, keyed('snapshot', 'unmarkQemu')),
      ]),
    ],
    asks: { step: 'snapshot.askWhetherToKeep', keep: marksQemu ? 'snapshot.unmarkQemu' : null },
  };
}

function preparing({ marksQemu, method, qemuOpensTargets }: SnapshotMirrorShape): Phase {
  return {
    name: 'preparing',
    description: 'Everything that may fail comes before the snapshot, also for the mirrors.',
    inside: [
      ...only(marksQemu, { step: 'snapshot.markQemu' }),
      {
        name: 'snapshot',
        description: 'The overlays are made.',
        inside: [
          { step: 'snapshot.claimFiles' },
          ...only(method === 'transaction', { step: 'snapshot.createImages' }),
        ],
      },
      {
        name: 'mirror',
        description: 'The targets of the mirrors are made.',
        inside: [{ step: 'mirror.claimFiles' }, ...only(!qemuOpensTargets, { step: 'mirror.createImages' })],
      },
    ],
  };
}

function snapshotting({ method, quiesces, publishes, qemuOpensTargets }: SnapshotMirrorShape): Phase {
  const step = method === 'transaction' ? 'snapshot.takeSnapshot' : 'snapshot.takeSnapshotSync';
  // The records are told again when the guest is back on its old images.
  const undoneAfter = quiesces ? 'snapshot.freezeGuest' : step;
  return {
    name: 'snapshotting',
    description: 'The overlays come in front of all disks in one instant.',
    inside: [
      ...only(quiesces, { step: 'snapshot.freezeGuest' }),
      { step },
      ...only(quiesces, { step: 'snapshot.thawGuest', mustSucceed: true }),
      ...only(publishes, { step: 'snapshot.publishOverlays', mustSucceed: true, undoneAfter }),
      ...only(!qemuOpensTargets, { step: 'mirror.standOnBases' }),
    ],
  };
}
