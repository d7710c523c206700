/** The states that every operation has whose disks end on another image by a switch; see ARCHITECTURE.md. */
import { decidingState, forwardState, relentingState, saga, stepState } from './saga-parts.ts';

export const mirroringState = saga.createStateConfig({
  id: 'mirroring',
  entry: 'followJobs',
  initial: 'mirrorDisks',
  states: { mirrorDisks: stepState('mirrorDisks', '#ready') },
});

export const readyState = saga.createStateConfig({
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
    awaitSignal: stepState('awaitSignal', 'awaitNearlyClean'),
    awaitNearlyClean: stepState('awaitNearlyClean', '#switching'),
  },
});

export const switchingState = saga.createStateConfig({
  id: 'switching',
  description: 'The guest stands still.',
  entry: 'attemptWindow',
  initial: 'pauseGuest',
  states: {
    pauseGuest: stepState(
      'pauseGuest',
      { guard: { type: 'finishIs', params: { finish: 'clone' } }, target: 'settleMirrors' },
      { guard: { type: 'strategyIs', params: { strategy: 'reopen' } }, target: 'settleMirrors' },
      { guard: { type: 'strategyIs', params: { strategy: 'finalize' } }, target: 'parkMirrors' },
      'completeMirrors',
    ),
    settleMirrors: relentingState(
      'settleMirrors',
      { guard: { type: 'finishIs', params: { finish: 'clone' } }, target: 'closing' },
      'insertFilters',
    ),
    insertFilters: stepState('insertFilters', 'reopenFilters'),
    reopenFilters: decidingState('reopenFilters', 'removeFilters'),
    removeFilters: forwardState('removeFilters', 'closing'),
    parkMirrors: relentingState('parkMirrors', 'finalizeMirrors'),
    finalizeMirrors: decidingState('finalizeMirrors', 'closing'),
    completeMirrors: relentingState('completeMirrors', 'closing'),
    relenting: saga.createStateConfig({
      id: 'relenting',
      description:
        'The last bytes took too long: the guest runs on, the mirrors follow, nothing is lost. The next pause comes later each time.',
      entry: 'relent',
      invoke: {
        src: 'undo.pauseGuest',
        onDone: {
          target: '#ready.awaitNearlyClean',
          actions: { type: 'forget', params: { step: 'pauseGuest' } },
        },
        onError: { target: '#stranded', actions: 'recordUndoFailure' },
      },
    }),
    closing: {
      description:
        'An ended mirror of a disk with an iothread is dismissed in the thread in which it ended: QEMU 5.2 dies otherwise.',
      always: [{ guard: 'hasIothreads', target: 'dismissMirrors' }, { target: 'resumeGuest' }],
    },
    dismissMirrors: forwardState('dismissMirrors', 'resumeGuest'),
    resumeGuest: forwardState('resumeGuest', '#cleaningUp'),
  },
});

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
