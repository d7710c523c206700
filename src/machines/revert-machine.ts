/** The revert of N disks as a machine; see ARCHITECTURE.md for the promise that it keeps. */
import { cleaningUpState } from './cleanup-parts.ts';
import { compensation, endings } from './compensation.ts';
import { decidingState, forwardState, initialContext, saga, signals, stepState } from './saga-parts.ts';
import { resumingState } from './switch-parts.ts';

/**
 * Puts N disks of a guest that stands still on new overlays over older images, all in one command or none. The guest
 * stays still: what it holds in memory does not fit these disks.
 *
 * @example
 * ```ts
 * const actor = createActor(revertMachine.provide({ actors }), { input: { plan }, inspect });
 * actor.start();
 * ```
 */
export const revertMachine = saga.createMachine({
  id: 'revert',
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
        createImages: stepState('createImages', '#switching'),
      },
    },
    switching: {
      id: 'switching',
      description: 'The guest stands still, and will go on standing still.',
      entry: 'attemptWindow',
      initial: 'pauseGuest',
      states: {
        pauseGuest: stepState('pauseGuest', 'insertFilters'),
        insertFilters: stepState('insertFilters', 'reopenFilters'),
        reopenFilters: decidingState('reopenFilters', 'removeFilters'),
        keepReverted: { id: 'keepingReverted', ...forwardState('keepReverted', 'removeFilters') },
        removeFilters: forwardState('removeFilters', 'resumeGuest'),
        resumeGuest: resumingState('resumeGuest', '#cleaningUp'),
      },
    },
    cleaningUp: cleaningUpState,
    compensating: compensation(
      ['markQemu', 'claimFiles', 'createImages', 'pauseGuest', 'insertFilters', 'reopenFilters'],
      '#keepingReverted',
    ),
    ...endings,
  },
});
