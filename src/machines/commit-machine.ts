/** The commit of N active images as a machine; see ARCHITECTURE.md for the promise that it keeps. */
import { leavingStates } from './cleanup-parts.ts';
import { compensation, endings } from './compensation.ts';
import { forwardState, initialContext, saga, signals, stepState } from './saga-parts.ts';
import { SWITCH_STEPS_OLDEST_FIRST, switchStates } from './switch-parts.ts';

const { mirroringState, readyState, switchingState } = switchStates();

/**
 * Merges the active images of N disks into images below them and switches all disks over to those in one pause, by the
 * plan's strategy: the removal of a snapshot, on all disks or on none.
 *
 * @example
 * ```ts
 * const actor = createActor(commitMachine.provide({ actors }), { input: { plan }, inspect });
 * actor.start();
 * actor.send({ type: 'abort' });
 * ```
 */
export const commitMachine = saga.createMachine({
  id: 'commit',
  context: initialContext,
  initial: 'preparing',
  on: signals,
  states: {
    preparing: {
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'marksQemu', target: 'markQemu' }, { target: '#mirroring' }] },
        markQemu: stepState('markQemu', '#mirroring'),
      },
    },
    mirroring: mirroringState,
    ready: readyState,
    switching: {
      ...switchingState,
      states: {
        ...switchingState.states,
        mergeRest: { id: 'mergingRest', ...forwardState('mergeRest', 'closing') },
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
          always: [{ guard: 'isDismissed', target: 'retireSources' }, { target: 'dismissMirrors' }],
        },
        dismissMirrors: forwardState('dismissMirrors', 'retireSources'),
        ...leavingStates,
      },
    },
    compensating: compensation(['markQemu', 'mirrorDisks', ...SWITCH_STEPS_OLDEST_FIRST], '#mergingRest'),
    ...endings,
  },
});
