/** The order of steps of a snapshot: one transaction, or one overlay after the other while the guest is paused. */
import { only, type Phase, type Route, type RouteStep } from './route.ts';
import type { SnapshotShape } from './shape.ts';
import { cleaningUp } from './switch-route.ts';

export function snapshotRoute({ method, quiesces, marksQemu, publishes, inGroup }: SnapshotShape): Route {
  return {
    chart: 'snapshot',
    phases: [
      {
        name: 'preparing',
        description: 'The overlays are made.',
        inside: [
          ...only(marksQemu, { step: 'markQemu' }),
          { step: 'claimFiles' },
          ...only(method === 'transaction', { step: 'createImages' }),
          ...only(inGroup, { step: 'awaitMembers' }),
        ],
      },
      {
        name: 'snapshotting',
        description: 'The overlays come in front of all disks in one instant.',
        inside: [...only(quiesces, { step: 'freezeGuest' }), ...(inGroup ? TOGETHER : [taking(method)])],
      },
      cleaningUp([
        ...only(quiesces, 'thawGuest'),
        ...only(publishes, 'publishDefinitions'),
        ...only(marksQemu, 'unmarkQemu'),
      ]),
    ],
  };
}

/** All guests are paused; none is resumed before the last snapshot is taken, and none commits before all have been paused till then. */
const TOGETHER: readonly (RouteStep | Phase)[] = [
  {
    name: 'together',
    description: 'The guest is paused until all of the group have their snapshots.',
    inside: [
      { step: 'pauseGuest' },
      { step: 'takeSnapshotInPause', begunWithPause: true },
      { step: 'awaitGo' },
      { step: 'resumeGuest' },
    ],
  },
  { step: 'decideWithGroup' },
];

function taking(method: SnapshotShape['method']): RouteStep | Phase {
  if (method === 'transaction') return { step: 'takeSnapshot' };
  if (method === 'transactionSync') return { step: 'takeSnapshotSync' };
  return {
    name: 'paused',
    description: 'The guest is paused.',
    inside: [
      { step: 'pauseGuest' },
      { step: 'takeSnapshotsOneByOne', begunWithPause: true },
      { step: 'resumeGuest' },
    ],
  };
}
