/** The order of steps of what has mirrors: a copy, the commit of active images, and the parts that both share. */

import type { Finish, Strategy } from '../plan/plan.ts';
import type { StepName } from '../steps/all-steps.ts';
import { keyOf, type StageName, type StepKey } from '../steps/stages.ts';
import { only, type Phase, type Route, type RouteStep } from './route.ts';
import type { CommitShape, CopyShape, SnapshotMirrorShape } from './shape.ts';

/** How N disks change at once: the steps in the pause. The last of them that can (`decision` of the step) takes the decision. */
const SWITCHES: Readonly<Record<Strategy, readonly SwitchStep[]>> = {
  reopen: [
    { step: 'endMirrorsInPlace', backsOff: true },
    { step: 'insertFilters', begunWithPause: true },
    { step: 'reopenFilters', begunWithPause: true },
    { step: 'removeFilters' },
  ],
  finalize: [
    { step: 'parkMirrors', backsOff: true, begunWithPause: true },
    { step: 'finalizeMirrors', begunWithPause: true },
  ],
  complete: [{ step: 'completeMirrors', backsOff: true, begunWithPause: true }],
};

/** What is left out of the pause where each disk has its filter before that. */
const FILTER_STEPS: ReadonlySet<StepName> = new Set<StepName>(['insertFilters', 'removeFilters']);

interface SwitchStep extends RouteStep {
  readonly step: StepName;
}

export function copyRoute(shape: CopyShape): Route {
  const { finish, filtersLive } = shape;
  const chart = 'copy';
  const prepared = [preparing(shape), mirroring(mirrorDisks(finish), filtersLive)];
  if (finish === 'abort') return { chart, phases: prepared };
  if (finish === 'clone') return { chart, phases: [...prepared, ...cloning(shape)] };
  const waits = only(finish === 'leave', { step: 'awaitSignal' } as const);
  const phases = [...prepared, ready(waits), switching(shape), afterSwitch(shape)];
  if (finish === 'pivot') return { chart, phases };
  // One that waits may be asked for its copies in place of the switch.
  return { chart, phases, keepsCopies: { from: 'awaitSignal', phase: keepingCopies(shape) } };
}

export function commitRoute(shape: CommitShape): Route {
  const { finish, marksQemu, filtersLive } = shape;
  return {
    chart: 'commit',
    phases: [
      ...only(marksQemu, {
        name: 'preparing',
        description: 'QEMU is marked as the one of this saga.',
        inside: [{ step: 'markQemu' }],
      }),
      mirroring(mirrorDisks(finish), filtersLive),
      ...only(finish !== 'abort', ready(only(finish === 'leave', { step: 'awaitSignal' }))),
      switching(shape, { ifOvertaken: 'commitRemainingDisks' }),
      afterSwitch(shape),
    ],
  };
}

function preparing({ marksQemu, qemuOpensTargets, streamsIntoTargets }: CopyShape): Phase {
  return {
    name: 'preparing',
    description: 'The new images are made.',
    inside: [
      ...only(marksQemu, { step: 'markQemu' }),
      { step: 'claimFiles' },
      ...only(!qemuOpensTargets, { step: 'createImages' }),
      ...only(streamsIntoTargets && !qemuOpensTargets, { step: 'streamIntoTargets' }),
    ],
  };
}

function mirrorDisks(finish: Finish): RouteStep {
  return finish === 'abort' ? { step: 'mirrorDisks', endsInRollback: true } : { step: 'mirrorDisks' };
}

export function mirroring(step: RouteStep, filtersLive: boolean, stage: StageName | null = null): Phase {
  return {
    name: 'mirroring',
    description: 'The mirrors copy until every one follows its guest.',
    followsJobs: true,
    inside: [...only(filtersLive, { step: keyed(stage, 'insertFiltersLive') }), step],
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

interface SwitchOptions {
  readonly stage?: StageName;
  /** Whether the new images are opened on their chains in the pause. */
  readonly attachesChains?: boolean;
  /** What is done where a rollback would lose data. */
  readonly ifOvertaken?: StepKey;
}

/** The one pause in which all disks change; without a strategy there is only what is done where a third party has switched some. */
export function switching(
  {
    strategy,
    iothreads,
    filtersInPause,
  }: Pick<SnapshotMirrorShape, 'strategy' | 'iothreads' | 'filtersInPause'>,
  { stage, attachesChains = false, ifOvertaken }: SwitchOptions = {},
): Phase {
  const here = (step: StepName) => keyed(stage ?? null, step);
  const isIn = (step: StepName) => filtersInPause || !FILTER_STEPS.has(step);
  const switched = strategy === null ? [] : SWITCHES[strategy].filter(({ step }) => isIn(step));
  return {
    name: 'switching',
    description: 'The guest is paused.',
    inside: [
      ...only(strategy !== null, { step: here('pauseGuest') }),
      ...only(attachesChains, { step: here('attachChains') }),
      ...switched.map(each => ({ ...each, step: here(each.step) })),
      ...(ifOvertaken === undefined ? [] : [{ step: ifOvertaken, ifOvertaken: true } as const]),
      ...endingPause(iothreads, here),
    ],
  };
}

/** What is left of the old side goes: of a copy its images stay, of a commit they are removed where that was asked for. */
function afterSwitch(shape: CopyShape | CommitShape): Phase {
  const { marksQemu, publishes, iothreads, filtersLive } = shape;
  return cleaningUp([
    ...only(publishes, 'publishDefinitions'),
    ...only(filtersLive, 'removeFiltersLive'),
    dismissing(iothreads, 'dismissMirrors'),
    'closeOldNodes',
    ...only('deletes' in shape && shape.deletes, 'removeLeaving'),
    ...only(marksQemu, 'unmarkQemu'),
  ]);
}

function keepingCopies(shape: CopyShape): Phase {
  return {
    name: 'keepingCopies',
    description: 'The copies are kept as one cut, and the guest stays where it is.',
    inside: cloning(shape),
  };
}

/**
 * The copies end as they are, in one pause; the guest stays on its disks. In a group all guests are paused until the copies of all
 * have ended, and the decision is the group's.
 */
function cloning(shape: CopyShape): readonly Phase[] {
  const { iothreads, marksQemu, quiesces, filtersLive, inGroup } = shape;
  return [
    ready([
      ...only(quiesces, { step: 'freezeGuest' } as const),
      ...only(inGroup, { step: 'awaitMembers' } as const),
    ]),
    {
      name: 'switching',
      description: inGroup
        ? 'The guest is paused until the copies of all in the group are complete.'
        : 'The guest is paused.',
      inside: [
        { step: 'pauseGuest' },
        { step: 'endMirrorsInPlace', ...(inGroup ? {} : { backsOff: true }) },
        ...dismissingInPause(iothreads, step => step),
        ...only(inGroup, { step: 'awaitGo' } as const),
        { step: 'resumeGuest' },
      ],
    },
    ...only(inGroup, {
      name: 'deciding',
      description: 'The guest runs; the group decides.',
      inside: [{ step: 'decideWithGroup' }],
    } as const),
    cleaningUp([
      ...only(quiesces, 'thawGuest'),
      ...only(filtersLive, 'removeFiltersLive'),
      dismissing(iothreads, 'dismissMirrors'),
      'closeCopies',
      ...only(marksQemu, 'unmarkQemu'),
    ]),
  ];
}

/**
 * The end of a pause. An ended mirror of a disk with an iothread is dismissed in the thread in which it ended: QEMU 5.2 dies
 * otherwise.
 */
function endingPause(iothreads: boolean, here: (step: StepName) => StepKey): readonly RouteStep[] {
  return [...dismissingInPause(iothreads, here), { step: here('resumeGuest') }];
}

function dismissingInPause(iothreads: boolean, here: (step: StepName) => StepKey): readonly RouteStep[] {
  return only(iothreads, { step: here('dismissMirrors'), mayLeaveJobs: true });
}

/** Where mirrors are dismissed in the pause, only those are left that QEMU would not have dismissed there. */
export function dismissing(iothreads: boolean, step: StepKey): RouteStep {
  return iothreads ? { step, ifJobsAreLeft: true } : { step };
}

export function cleaningUp(steps: readonly (StepKey | RouteStep)[]): Phase {
  return {
    name: 'cleaningUp',
    description: 'The decision stands; what is no longer needed goes.',
    inside: steps.map(step => (typeof step === 'string' ? { step } : step)),
  };
}

export function keyed(stage: StageName | null, step: StepName): StepKey {
  return keyOf(stage, step) as StepKey;
}
