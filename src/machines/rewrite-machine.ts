/** The shortening of N chains below their active images as a machine: pull, and commit of what is not active. */
import { cleaningUpState } from './cleanup-parts.ts';
import { compensation, endings } from './compensation.ts';
import {
  decidingState,
  forwardState,
  initialContext,
  pointOfNoReturn,
  saga,
  signals,
  stepState,
} from './saga-parts.ts';

/**
 * Runs one stream or commit job per disk until every one is held back just before it changes its chain, and only then
 * lets all of them do so. The guest runs throughout and reads the same from either chain. Where QEMU cannot hold jobs back
 * the first disk's does it by itself, which is the decision, and the others follow.
 *
 * @example
 * ```ts
 * const actor = createActor(rewriteMachine.provide({ actors }), { input: { plan }, inspect });
 * actor.start();
 * ```
 */
export const rewriteMachine = saga.createMachine({
  id: 'rewrite',
  context: initialContext,
  initial: 'preparing',
  on: signals,
  states: {
    preparing: {
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'marksQemu', target: 'markQemu' }, { target: '#rewriting' }] },
        markQemu: stepState('markQemu', '#rewriting'),
      },
    },
    rewriting: {
      id: 'rewriting',
      entry: 'followJobs',
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'holdsBack', target: 'rewriteChains' }, { target: 'rewriteAtOnce' }] },
        rewriteAtOnce: decidingState(
          'rewriteAtOnce',
          { guard: { type: 'isOfSeveral' }, target: 'rewriteRest' },
          '#cleaningUp',
        ),
        rewriteRest: forwardState('rewriteRest', '#cleaningUp'),
        rewriteChains: stepState('rewriteChains', 'finalizeRewrites'),
        finalizeRewrites: pointOfNoReturn('finalizeRewrites', '#cleaningUp'),
        finalizeRest: { id: 'finalizingRest', ...forwardState('finalizeRest', '#cleaningUp') },
      },
    },
    cleaningUp: cleaningUpState,
    compensating: compensation(['markQemu', 'rewriteChains', 'rewriteAtOnce'], '#finalizingRest'),
    ...endings,
  },
});
