/** How operations end after their decision, as far as they end alike; see ARCHITECTURE.md. */
import { forwardState, saga } from './saga-parts.ts';

/** The mark is taken off QEMU where there is one. */
export const unmarkingStates = {
  unmarking: saga.createStateConfig({
    always: [{ guard: 'marksQemu', target: 'unmarkQemu' }, { target: '#committed' }],
  }),
  unmarkQemu: forwardState('unmarkQemu', '#committed'),
} as const;

/** What has left the disks' chains is closed, and its files are removed where that is asked for. */
export const leavingStates = {
  retireSources: forwardState('retireSources', 'removing'),
  removing: saga.createStateConfig({
    always: [{ guard: 'removesLeaving', target: 'removeLeaving' }, { target: 'unmarking' }],
  }),
  removeLeaving: forwardState('removeLeaving', 'unmarking'),
  ...unmarkingStates,
} as const;

/** The end of what leaves no jobs behind: the records are told, then the images that left go. */
export const cleaningUpState = saga.createStateConfig({
  id: 'cleaningUp',
  initial: 'choosing',
  states: {
    choosing: {
      always: [{ guard: 'publishes', target: 'publishDefinitions' }, { target: 'retireSources' }],
    },
    publishDefinitions: forwardState('publishDefinitions', 'retireSources'),
    ...leavingStates,
  },
});
