/** The copy of N disks as a machine; see ARCHITECTURE.md for the promise that it keeps. */
import { unmarkingStates } from './cleanup-parts.ts';
import { compensation, endings } from './compensation.ts';
import { forwardState, initialContext, saga, signals, stepState } from './saga-parts.ts';
import { SWITCH_STEPS_OLDEST_FIRST, switchStates } from './switch-parts.ts';

const { mirroringState, readyState, switchingState } = switchStates();

/**
 * Mirrors N disks to new images and switches all of them over in one pause, by the plan's strategy; or keeps the
 * copies as one consistent cut (`clone`, or where a copy that waits is asked to), or takes everything back (`abort`).
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
        claimFiles: stepState(
          'claimFiles',
          { guard: { type: 'qemuOpens' }, target: '#mirroring' },
          'createImages',
        ),
        createImages: stepState(
          'createImages',
          { guard: { type: 'fillsTargets' }, target: 'fillTargets' },
          '#mirroring',
        ),
        fillTargets: stepState('fillTargets', '#mirroring'),
      },
    },
    mirroring: mirroringState,
    ready: readyState,
    switching: switchingState,
    cleaningUp: {
      id: 'cleaningUp',
      initial: 'choosing',
      states: {
        choosing: {
          always: [{ guard: 'publishes', target: 'publishDefinitions' }, { target: 'dismissing' }],
        },
        publishDefinitions: forwardState('publishDefinitions', 'dismissing'),
        dismissing: {
          always: [{ guard: 'isDismissed', target: 'releasing' }, { target: 'dismissMirrors' }],
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
        ...unmarkingStates,
      },
    },
    compensating: compensation([
      'markQemu',
      'claimFiles',
      'createImages',
      'fillTargets',
      'mirrorDisks',
      ...SWITCH_STEPS_OLDEST_FIRST,
    ]),
    ...endings,
  },
});
