/** The copy of N disks as a machine; see ARCHITECTURE.md for the promise that it keeps. */
import {
  compensation,
  decidingState,
  endings,
  forwardState,
  initialContext,
  relentingState,
  saga,
  signals,
  stepState,
} from './saga-parts.ts';

/**
 * Mirrors N disks to new images and switches all of them over in one pause, by the plan's strategy; or keeps the
 * copies as one consistent cut (`clone`), or takes everything back (`abort`).
 *
 * @example
 * ```ts
 * const actor = createActor(copyMachine.provide({ actors }), { input: { plan }, inspect });
 * actor.start();
 * actor.send({ type: 'abort' });
 * ```
 */
export const copyMachine = saga.createMachine({
  id: 'copy',
  context: initialContext,
  initial: 'preparing',
  on: signals,
  states: {
    preparing: {
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'marksQemu', target: 'markQemu' }, { target: 'claimFiles' }] },
        markQemu: stepState('markQemu', 'claimFiles'),
        claimFiles: stepState('claimFiles', 'createImages'),
        createImages: stepState('createImages', '#mirroring'),
      },
    },
    mirroring: {
      id: 'mirroring',
      entry: 'followJobs',
      initial: 'mirrorDisks',
      states: { mirrorDisks: stepState('mirrorDisks', '#ready') },
    },
    ready: {
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
    },
    switching: {
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
    },
    cleaningUp: {
      id: 'cleaningUp',
      initial: 'choosing',
      states: {
        choosing: {
          always: [{ guard: 'publishes', target: 'publishDefinitions' }, { target: 'dismissing' }],
        },
        publishDefinitions: forwardState('publishDefinitions', 'dismissing'),
        dismissing: {
          always: [{ guard: 'hasIothreads', target: 'releasing' }, { target: 'dismissMirrors' }],
        },
        dismissMirrors: forwardState('dismissMirrors', 'releasing'),
        releasing: {
          always: [
            { guard: { type: 'finishIs', params: { finish: 'clone' } }, target: 'releaseTargets' },
            { target: 'retireSources' },
          ],
        },
        releaseTargets: forwardState('releaseTargets', 'unmarking'),
        retireSources: forwardState('retireSources', 'unmarking'),
        unmarking: { always: [{ guard: 'marksQemu', target: 'unmarkQemu' }, { target: '#committed' }] },
        unmarkQemu: forwardState('unmarkQemu', '#committed'),
      },
    },
    compensating: compensation([
      'markQemu',
      'claimFiles',
      'createImages',
      'mirrorDisks',
      'pauseGuest',
      'settleMirrors',
      'parkMirrors',
      'finalizeMirrors',
      'completeMirrors',
      'insertFilters',
      'reopenFilters',
    ]),
    ...endings,
  },
});
