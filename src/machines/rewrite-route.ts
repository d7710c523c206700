/**
 * The order of steps of what shortens chains below their active images, a pull or such a commit, and of a revert, which
 * ends like those.
 */
import { only, type Phase, type Route, type RouteStep } from './route.ts';
import type { RevertShape, RewriteShape } from './shape.ts';
import { cleaningUp } from './switch-route.ts';

/**
 * One job per disk is held back just before it changes its chain, and then all of them do so. Where QEMU cannot hold jobs
 * back the first disk's does it by itself, which is the decision, and the others follow.
 */
export function rewriteRoute(shape: RewriteShape): Route {
  return {
    chart: 'rewrite',
    phases: [
      ...only(shape.marksQemu, {
        name: 'preparing',
        description: 'QEMU is marked as the one of this saga.',
        inside: [{ step: 'markQemu' }],
      }),
      {
        name: 'rewriting',
        description: 'The guest runs, and reads the same from a chain before and after.',
        followsJobs: true,
        inside: rewriting(shape),
      },
      ending(shape),
    ],
  };
}

function rewriting({ manualFinalize, severalDisks }: RewriteShape): readonly RouteStep[] {
  if (manualFinalize) {
    return [
      { step: 'rewriteChains' },
      { step: 'finalizeRewrites' },
      { step: 'finalizeRest', ifOvertaken: true },
    ];
  }
  return [
    { step: 'rewriteFirst' },
    ...only(severalDisks, { step: 'rewriteRest' }),
    { step: 'finalizeRest', ifOvertaken: true },
  ];
}

/** N disks of a paused guest put on new overlays over older images; it stays paused: its memory does not fit these disks. */
export function revertRoute(shape: RevertShape): Route {
  return {
    chart: 'revert',
    phases: [
      {
        name: 'preparing',
        description: 'The new overlays are made.',
        inside: [
          ...only(shape.marksQemu, { step: 'markQemu' }),
          { step: 'claimFiles' },
          { step: 'createImages' },
        ],
      },
      {
        name: 'switching',
        description: 'The guest is paused, and stays so.',
        inside: [
          { step: 'pauseGuest' },
          ...(shape.strategy === 'rebase'
            ? ([
                { step: 'rebaseOverlays', begunWithPause: true },
                { step: 'commitRevert', ifOvertaken: true },
              ] as const)
            : ([
                { step: 'insertFilters', begunWithPause: true },
                { step: 'reopenFilters', begunWithPause: true },
                { step: 'commitRevert', ifOvertaken: true },
                { step: 'removeFilters' },
              ] as const)),
          { step: 'resumeGuest' },
        ],
      },
      ending(shape),
    ],
  };
}

/** What leaves no jobs behind: the records are told, then the images that left go. */
function ending({ publishes, deletes, marksQemu }: RewriteShape | RevertShape): Phase {
  return cleaningUp([
    ...only(publishes, 'publishDefinitions'),
    'closeOldNodes',
    ...only(deletes, 'removeLeaving'),
    ...only(marksQemu, 'unmarkQemu'),
  ]);
}
