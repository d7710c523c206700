/** The order of steps of a snapshot: one transaction, or one overlay after the other while the guest is paused. */
import { only, type Phase, type Route, type Stop } from './route.ts';
import type { SnapshotShape } from './shape.ts';
import { cleaningUp } from './switch-route.ts';

export function snapshotRoute({ method, quiesces, marksQemu, publishes }: SnapshotShape): Route {
  return {
    chart: 'snapshot',
    phases: [
      {
        name: 'preparing',
        description: 'The overlays are made.',
        inside: [
          ...only(marksQemu, { step: 'markQemu' } as const),
          { step: 'claimFiles' },
          ...only(method === 'transaction', { step: 'createImages' } as const),
        ],
      },
      {
        name: 'snapshotting',
        description: 'The overlays come in front of all disks in one instant.',
        inside: [...only(quiesces, { step: 'freezeGuest' } as const), taking(method)],
      },
      cleaningUp([
        ...only(quiesces, 'thawGuest' as const),
        ...only(publishes, 'publishDefinitions' as const),
        ...only(marksQemu, 'unmarkQemu' as const),
      ]),
    ],
  };
}

function taking(method: SnapshotShape['method']): Stop | Phase {
  if (method === 'transaction') return { step: 'takeSnapshot', role: 'decides' };
  if (method === 'transactionSync') return { step: 'takeSnapshotSync', role: 'decides' };
  return {
    name: 'standingStill',
    description: 'The guest is paused.',
    window: ['takeSnapshotsOneByOne'],
    inside: [
      { step: 'pauseGuest' },
      { step: 'takeSnapshotsOneByOne', role: 'decides' },
      { step: 'resumeGuest' },
    ],
  };
}
