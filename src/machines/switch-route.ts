/** The order of steps of what has mirrors: a copy, the commit of active images, and the parts that both share. */

import type { Strategy } from '../plan/plan.ts';
import type { StepName } from '../steps/all-steps.ts';
import { keyOf, type StageName, type StepKey } from '../steps/stages.ts';
import { only, type Phase, type Route, type RouteStep } from './route.ts';
import type { CommitShape, CopyShape, SnapshotMirrorShape } from './shape.ts';
import { SWITCH_STEPS } from './steps-in-pause.ts';

export function copyRoute(shape: CopyShape): Route {
  const { finish, marksQemu, qemuOpensTargets, streamsIntoTargets, publishes, iothreads } = shape;
  const made = [
    ...only(marksQemu, 'markQemu' as const),
    ...['claimFiles' as const, ...only(!qemuOpensTargets, 'createImages' as const)],
    ...only(streamsIntoTargets && !qemuOpensTargets, 'streamIntoTargets' as const),
  ];
  const prepared = [
    { name: 'preparing', description: 'The new images are made.', inside: made.map(step => ({ step })) },
    mirroring(finish === 'abort' ? { step: 'mirrorDisks', rollsBack: true } : { step: 'mirrorDisks' }),
  ];
  if (finish === 'abort') return { chart: 'copy', phases: prepared };
  if (finish === 'clone') return { chart: 'copy', phases: [...prepared, ...cloning(shape)] };
  const phases = [
    ...prepared,
    ready(only(finish === 'leave', { step: 'awaitSignal' })),
    switching(shape, null),
    cleaningUp([
      ...only(publishes, 'publishDefinitions' as const),
      dismissing(iothreads, 'dismissMirrors'),
      'closeOldNodes',
      ...only(marksQemu, 'unmarkQemu' as const),
    ]),
  ];
  if (finish === 'pivot') return { chart: 'copy', phases };
  const phase = {
    name: 'keepingCopies',
    description: 'The copies are kept as one cut, and the guest stays where it is.',
    inside: cloning(shape),
  };
  return { chart: 'copy', phases, keepsCopies: { from: 'awaitSignal', phase } };
}

export function commitRoute(shape: CommitShape): Route {
  const { finish, marksQemu, publishes, iothreads, deletes, strategy } = shape;
  const rollsBack = finish === 'abort';
  return {
    chart: 'commit',
    phases: [
      ...only(marksQemu, {
        name: 'preparing',
        description: 'QEMU is marked as the one of this saga.',
        inside: [{ step: 'markQemu' }],
      } as const),
      mirroring(rollsBack ? { step: 'mirrorDisks', rollsBack } : { step: 'mirrorDisks' }),
      ...only(!rollsBack, ready(only(finish === 'leave', { step: 'awaitSignal' }))),
      switching({ iothreads, strategy }, null, { step: 'commitRemainingDisks', overtaken: true }),
      cleaningUp([
        ...only(publishes, 'publishDefinitions' as const),
        dismissing(iothreads, 'dismissMirrors'),
        'closeOldNodes',
        ...only(deletes, 'removeLeaving' as const),
        ...only(marksQemu, 'unmarkQemu' as const),
      ]),
    ],
  };
}

/** The copies end as they are, in one pause; the guest stays on its disks. */
function cloning({ iothreads, marksQemu, quiesces }: CopyShape): readonly Phase[] {
  return [
    ready(only(quiesces, { step: 'freezeGuest' })),
    {
      ...switching({ iothreads, strategy: null }, null),
      inside: [
        { step: 'pauseGuest' },
        { step: 'endMirrorsInPlace', backsOff: true },
        ...ending(iothreads, null),
      ],
    },
    cleaningUp([
      ...only(quiesces, 'thawGuest' as const),
      dismissing(iothreads, 'dismissMirrors'),
      'closeCopies',
      ...only(marksQemu, 'unmarkQemu' as const),
    ]),
  ];
}

export function mirroring(stop: RouteStep): Phase {
  return {
    name: 'mirroring',
    description: 'The mirrors copy until every one follows its guest.',
    followsJobs: true,
    inside: [stop],
  };
}

/** The mirrors follow the guest: what is waited for before the pause. */
export function ready(before: readonly RouteStep[], stage: StageName | null = null): Phase {
  return {
    name: 'ready',
    description: 'Every mirror follows its disk.',
    inside: [...before, { step: keyed(stage, 'awaitConvergence') }],
  };
}

export function cleaningUp(steps: readonly (StepKey | RouteStep)[]): Phase {
  return {
    name: 'cleaningUp',
    description: 'The decision stands; what is no longer needed goes.',
    inside: steps.map(step => (typeof step === 'string' ? { step } : step)),
  };
}

/** Where mirrors are dismissed in the pause, only those are left that QEMU would not have dismissed there. */
export function dismissing(iothreads: boolean, step: StepKey): RouteStep {
  return iothreads ? { step, ifJobsAreLeft: true } : { step };
}

type Switched = Pick<SnapshotMirrorShape, 'strategy' | 'iothreads'>;

/** The one pause in which all disks change. `overtaken` is where a rollback leads that would lose data. */
export function switching(
  { strategy, iothreads }: Switched,
  stage: StageName | null,
  overtaken?: RouteStep,
  attaches = false,
): Phase {
  const inside =
    strategy === null ? [] : SWITCHES[strategy].map(stop => ({ ...stop, step: keyed(stage, stop.step) }));
  return {
    name: 'switching',
    description: 'The guest is paused.',
    inPause: strategy === null ? [] : SWITCH_STEPS[strategy].map(step => keyed(stage, step)),
    inside: [
      ...only(strategy !== null, { step: keyed(stage, 'pauseGuest') }),
      ...only(attaches, { step: keyed(stage, 'attachChains') }),
      ...inside,
      ...(overtaken === undefined ? [] : [overtaken]),
      ...ending(iothreads, stage),
    ],
  };
}

/**
 * The end of a pause. An ended mirror of a disk with an iothread is dismissed in the thread in which it ended: QEMU 5.2 dies
 * otherwise.
 */
function ending(iothreads: boolean, stage: StageName | null): readonly RouteStep[] {
  return [
    ...only(iothreads, { step: keyed(stage, 'dismissMirrors'), mayLeaveJobs: true } as const),
    { step: keyed(stage, 'resumeGuest') },
  ];
}

interface SwitchStep extends RouteStep {
  readonly step: StepName;
}

/** How N disks change at once: their steps in the pause. */
const SWITCHES: Readonly<Record<Strategy, readonly SwitchStep[]>> = {
  reopen: [
    { step: 'endMirrorsInPlace', backsOff: true },
    { step: 'insertFilters' },
    { step: 'reopenFilters' },
    { step: 'removeFilters' },
  ],
  finalize: [{ step: 'parkMirrors', backsOff: true }, { step: 'finalizeMirrors' }],
  complete: [{ step: 'completeMirrors', backsOff: true }],
};

export function keyed(stage: StageName | null, step: StepName): StepKey {
  return keyOf(stage, step) as StepKey;
}
