/** The snapshot of N disks as a machine; see ARCHITECTURE.md for the promise that it keeps. */
import { unmarkingStates } from './cleanup-parts.ts';
import { compensation, endings } from './compensation.ts';
import { decidingState, forwardState, initialContext, saga, signals, stepState } from './saga-parts.ts';
import { resumingState } from './switch-parts.ts';

/**
 * Overlays on N disks in one instant: one transaction, or one after the other while the guest stands still.
 *
 * @example
 * ```ts
 * const actor = createActor(snapshotMachine.provide({ actors }), { input: { plan }, inspect });
 * actor.start();
 * ```
 */
export const snapshotMachine = saga.createMachine({
  id: 'snapshot',
  context: initialContext,
  initial: 'preparing',
  on: signals,
  states: {
    preparing: {
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'marksQemu', target: 'markQemu' }, { target: 'claimFiles' }] },
        markQemu: stepState('markQemu', 'claimFiles'),
        claimFiles: stepState(
          'claimFiles',
          { guard: { type: 'methodIs', params: { method: 'transaction' } }, target: 'createImages' },
          '#snapshotting',
        ),
        createImages: stepState('createImages', '#snapshotting'),
      },
    },
    snapshotting: {
      id: 'snapshotting',
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'quiesces', target: 'freezeGuest' }, { target: 'frozen' }] },
        freezeGuest: stepState('freezeGuest', 'frozen'),
        frozen: {
          always: [
            { guard: { type: 'methodIs', params: { method: 'transaction' } }, target: 'takeSnapshot' },
            {
              guard: { type: 'methodIs', params: { method: 'transactionSync' } },
              target: 'takeSnapshotSync',
            },
            { target: 'standingStill' },
          ],
        },
        takeSnapshot: decidingState('takeSnapshot', '#cleaningUp'),
        takeSnapshotSync: decidingState('takeSnapshotSync', '#cleaningUp'),
        standingStill: {
          description: 'The guest stands still.',
          entry: 'attemptWindow',
          initial: 'pauseGuest',
          states: {
            pauseGuest: stepState('pauseGuest', 'takeSnapshotsOneByOne'),
            takeSnapshotsOneByOne: decidingState('takeSnapshotsOneByOne', 'resumeGuest'),
            resumeGuest: resumingState('resumeGuest', '#cleaningUp'),
          },
        },
      },
    },
    cleaningUp: {
      id: 'cleaningUp',
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'quiesces', target: 'thawGuest' }, { target: 'publishing' }] },
        thawGuest: forwardState('thawGuest', 'publishing'),
        publishing: {
          always: [{ guard: 'publishes', target: 'publishDefinitions' }, { target: 'unmarking' }],
        },
        publishDefinitions: forwardState('publishDefinitions', 'unmarking'),
        ...unmarkingStates,
      },
    },
    compensating: compensation([
      'markQemu',
      'claimFiles',
      'createImages',
      'freezeGuest',
      'takeSnapshot',
      'takeSnapshotSync',
      'pauseGuest',
      'takeSnapshotsOneByOne',
    ]),
    ...endings,
  },
});
