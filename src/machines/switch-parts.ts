/** The states that every operation has whose disks end on another image by a switch; see ARCHITECTURE.md. */
import type { StepName } from '../steps/all-steps.ts';
import { keyOf, type StageName, type StepKey } from '../steps/stages.ts';
import { actorOf, decidingState, forwardState, relentingState, saga, stepState } from './saga-parts.ts';

/** QEMU makes the new images, opens them, and finds what is below them. */
const QEMU_OPENS = { guard: { type: 'qemuOpens' } } as const;

/** The state in which the guest is let run: a migration that has begun in its pause leads back once more. */
export function resumingState(step: StepKey, next: string) {
  return saga.createStateConfig({
    entry: { type: 'attempt', params: { step } },
    invoke: {
      src: actorOf(step),
      onDone: next,
      onError: [
        { guard: 'migratesFirst', target: '#compensating', actions: 'recordFailure' },
        { target: '#stranded', actions: 'recordFailure' },
      ],
    },
  });
}

/** The states of a saga whose only stage, or whose stage of this name, has mirrors. */
export function switchStates(stage: StageName | null = null) {
  const of = (step: StepName) => keyOf(stage, step) as StepKey;

  const byStrategy = [
    { guard: { type: 'finishIs', params: { finish: 'clone' } }, target: 'settleMirrors' },
    { guard: { type: 'strategyIs', params: { strategy: 'reopen' } }, target: 'settleMirrors' },
    { guard: { type: 'strategyIs', params: { strategy: 'finalize' } }, target: 'parkMirrors' },
    'completeMirrors',
  ] as const;

  const asAsked = [
    { guard: { type: 'keepsCopies' }, target: 'awaitNearlyClean', actions: 'recordKept' },
    'awaitNearlyClean',
  ] as const;

  const mirroringState = saga.createStateConfig({
    id: 'mirroring',
    entry: 'followJobs',
    initial: 'mirrorDisks',
    states: { mirrorDisks: stepState(of('mirrorDisks'), '#ready') },
  });

  const readyState = saga.createStateConfig({
    id: 'ready',
    initial: 'choosing',
    states: {
      choosing: {
        always: [
          { guard: { type: 'finishIs', params: { finish: 'abort' } }, target: '#compensating' },
          { guard: { type: 'finishIs', params: { finish: 'leave' } }, target: 'awaitSignal' },
          { target: 'awaitNearlyClean' },
        ],
      },
      awaitSignal: stepState(
        of('awaitSignal'),
        ...(stage === null ? asAsked : [{ ...QEMU_OPENS, target: 'awaitNearlyClean' }, 'openChains']),
      ),
      ...(stage === null ? {} : { openChains: stepState(of('openChains'), 'awaitNearlyClean') }),
      awaitNearlyClean: stepState(of('awaitNearlyClean'), '#switching'),
    },
  });

  const switchingState = saga.createStateConfig({
    id: 'switching',
    description: 'The guest stands still.',
    entry: 'attemptWindow',
    initial: 'pauseGuest',
    states: {
      pauseGuest: stepState(
        of('pauseGuest'),
        ...(stage === null ? byStrategy : [{ ...QEMU_OPENS, target: 'completeMirrors' }, 'attachChains']),
      ),
      ...(stage === null ? {} : { attachChains: stepState(of('attachChains'), ...byStrategy) }),
      settleMirrors: relentingState(
        of('settleMirrors'),
        { guard: { type: 'finishIs', params: { finish: 'clone' } }, target: 'closing' },
        'insertFilters',
      ),
      insertFilters: stepState(of('insertFilters'), 'reopenFilters'),
      reopenFilters: decidingState(of('reopenFilters'), 'removeFilters'),
      removeFilters: forwardState(of('removeFilters'), 'closing'),
      parkMirrors: relentingState(of('parkMirrors'), 'finalizeMirrors'),
      finalizeMirrors: decidingState(of('finalizeMirrors'), 'closing'),
      completeMirrors: relentingState(of('completeMirrors'), 'closing'),
      relenting: saga.createStateConfig({
        id: 'relenting',
        description:
          'The last bytes took too long: the guest runs on, the mirrors follow, nothing is lost. The next pause comes later each time.',
        entry: 'relent',
        invoke: {
          src: actorOf(`undo.${of('pauseGuest')}`),
          onDone: {
            target: '#ready.awaitNearlyClean',
            actions: { type: 'forget', params: { step: of('pauseGuest') } },
          },
          onError: { target: '#stranded', actions: 'recordUndoFailure' },
        },
      }),
      closing: {
        description:
          'An ended mirror of a disk with an iothread is dismissed in the thread in which it ended: QEMU 5.2 dies otherwise.',
        always: [{ guard: 'hasIothreads', target: 'dismissMirrors' }, { target: 'resumeGuest' }],
      },
      dismissMirrors: forwardState(
        of('dismissMirrors'),
        { guard: { type: 'leavesJobs' }, target: 'resumeGuest', actions: 'recordUndismissed' },
        'resumeGuest',
      ),
      resumeGuest: resumingState(of('resumeGuest'), '#cleaningUp'),
    },
  });

  return { mirroringState, readyState, switchingState };
}

/** What the switch may have done, for the compensation. */
export const SWITCH_STEPS_OLDEST_FIRST = [
  'pauseGuest',
  'settleMirrors',
  'parkMirrors',
  'finalizeMirrors',
  'completeMirrors',
  'insertFilters',
  'reopenFilters',
] as const;
