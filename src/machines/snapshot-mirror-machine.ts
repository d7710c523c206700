/** The snapshot of N disks with mirrors as a machine; see ARCHITECTURE.md for the promise that it keeps. */
import { keyOf, type StepKey } from '../steps/stages.ts';
import { askingState, endings, undoStates } from './compensation.ts';
import { decidingState, forwardState, initialContext, saga, signals, stepState } from './saga-parts.ts';
import { SWITCH_STEPS_OLDEST_FIRST, switchStates } from './switch-parts.ts';

const { mirroringState, readyState, switchingState } = switchStates('mirror');
const QEMU_OPENS = { guard: { type: 'qemuOpens' } } as const;
const BY_TRANSACTION = { guard: { type: 'methodIs', params: { method: 'transaction' } } } as const;

const takeMirrorsAway = undoStates(
  [
    'mirror.claimFiles',
    'mirror.openChains',
    'mirror.createImages',
    'mirror.mirrorDisks',
    ...SWITCH_STEPS_OLDEST_FIRST.map(step => keyOf('mirror', step) as StepKey),
  ],
  'askWhetherToKeep',
);
const takeSnapshotBack = undoStates(
  [
    'snapshot.markQemu',
    'snapshot.claimFiles',
    'snapshot.createImages',
    'snapshot.publishOverlays',
    'snapshot.freezeGuest',
    'snapshot.takeSnapshot',
    'snapshot.takeSnapshotSync',
  ],
  '#rolledBack',
);

/**
 * Overlays on N disks in one transaction, each then mirrored to a second place, and all disks switched over to that in one
 * pause when somebody says so. Until then everything can be taken back, or only the mirrors (`keepSnapshot`).
 *
 * @example
 * ```ts
 * const actor = createActor(snapshotMirrorMachine.provide({ actors }), { input: { plan }, inspect });
 * actor.start();
 * actor.send({ type: 'pivot' });
 * ```
 */
export const snapshotMirrorMachine = saga.createMachine({
  id: 'snapshotMirror',
  context: initialContext,
  initial: 'preparing',
  on: signals,
  states: {
    preparing: {
      description: 'Everything that may fail comes before the snapshot, also for the mirrors.',
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'marksQemu', target: 'markQemu' }, { target: 'snapshot' }] },
        markQemu: stepState('snapshot.markQemu', 'snapshot'),
        snapshot: {
          initial: 'claimFiles',
          states: {
            claimFiles: stepState(
              'snapshot.claimFiles',
              { ...BY_TRANSACTION, target: 'createImages' },
              '#preparingMirror',
            ),
            createImages: stepState('snapshot.createImages', '#preparingMirror'),
          },
        },
        mirror: {
          id: 'preparingMirror',
          initial: 'claimFiles',
          states: {
            claimFiles: stepState(
              'mirror.claimFiles',
              { ...QEMU_OPENS, target: '#snapshotting' },
              'createImages',
            ),
            createImages: stepState('mirror.createImages', '#snapshotting'),
          },
        },
      },
    },
    snapshotting: {
      id: 'snapshotting',
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'quiesces', target: 'freezeGuest' }, { target: 'frozen' }] },
        freezeGuest: stepState('snapshot.freezeGuest', 'frozen'),
        frozen: { always: [{ ...BY_TRANSACTION, target: 'takeSnapshot' }, { target: 'takeSnapshotSync' }] },
        takeSnapshot: decidingState('snapshot.takeSnapshot', 'taken'),
        takeSnapshotSync: decidingState('snapshot.takeSnapshotSync', 'taken'),
        taken: { always: [{ guard: 'quiesces', target: 'thawGuest' }, { target: 'publishing' }] },
        thawGuest: forwardState('snapshot.thawGuest', 'publishing'),
        publishing: {
          always: [{ guard: 'publishes', target: 'publishOverlays' }, { target: 'standing' }],
        },
        publishOverlays: forwardState('snapshot.publishOverlays', 'standing'),
        standing: { always: [{ ...QEMU_OPENS, target: '#mirroring' }, { target: 'standOnBases' }] },
        standOnBases: stepState('mirror.standOnBases', '#mirroring'),
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
        publishDefinitions: forwardState('mirror.publishDefinitions', 'dismissing'),
        dismissing: {
          always: [{ guard: 'isDismissed', target: 'retireSources' }, { target: 'dismissMirrors' }],
        },
        dismissMirrors: forwardState('mirror.dismissMirrors', 'retireSources'),
        retireSources: forwardState('mirror.retireSources', 'unmarking'),
        unmarking: {
          id: 'unmarking',
          always: [{ guard: 'marksQemu', target: 'unmarkQemu' }, { target: '#committed' }],
        },
        unmarkQemu: forwardState('snapshot.unmarkQemu', '#committed'),
      },
    },
    compensating: {
      id: 'compensating',
      initial: takeMirrorsAway.initial,
      states: {
        ...takeMirrorsAway.states,
        askWhetherToKeep: askingState('snapshot.askWhetherToKeep', '#keeping', takeSnapshotBack.initial),
        ...takeSnapshotBack.states,
      },
    },
    keeping: {
      id: 'keeping',
      description: 'The mirrors are gone and the snapshot stays, as was asked.',
      entry: 'recordKept',
      always: '#unmarking',
    },
    ...endings,
  },
});
