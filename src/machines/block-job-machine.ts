/**
 * Follows one block job of QEMU through QEMU's own states, so that an inspector shows every disk live. It only watches:
 * queries may skip states, so any status may follow any other, and nothing is decided on it.
 */
import { assign, setup } from 'xstate';

/** What is shown of a job. Bytes as QEMU counts them; equal figures do not mean that the job is ready. */
export interface BlockJobContext {
  readonly disk: string;
  readonly job: string;
  readonly currentBytes: number;
  readonly totalBytes: number;
}

const blockJob = setup({
  types: {
    context: {} as BlockJobContext,
    input: {} as { readonly disk: string; readonly job: string },
    events: {} as {
      readonly type: `job.${string}`;
      readonly currentBytes: number;
      readonly totalBytes: number;
    },
  },
  actions: {
    recordProgress: assign(({ event }) => ({
      currentBytes: event.currentBytes,
      totalBytes: event.totalBytes,
    })),
  },
});

/**
 * The machine of one block job. Send it `job.running`, `job.ready`, ... as QEMU reports them.
 *
 * @example
 * ```ts
 * const actor = createActor(blockJobMachine, { input: { disk: 'disk0', job: 'm0' } }).start();
 * actor.send({ type: 'job.ready', currentBytes: 4096, totalBytes: 4096 });
 * console.log(actor.getSnapshot().value); // ready
 * ```
 */
export const blockJobMachine = blockJob.createMachine({
  id: 'blockJob',
  context: ({ input }) => ({ ...input, currentBytes: 0, totalBytes: 0 }),
  initial: 'created',
  on: {
    'job.created': { target: '.created', actions: 'recordProgress' },
    'job.running': { target: '.running', actions: 'recordProgress' },
    'job.paused': { target: '.paused', actions: 'recordProgress' },
    'job.ready': { target: '.ready', actions: 'recordProgress' },
    'job.standby': { target: '.standby', actions: 'recordProgress' },
    'job.waiting': { target: '.waiting', actions: 'recordProgress' },
    'job.pending': { target: '.pending', actions: 'recordProgress' },
    'job.aborting': { target: '.aborting', actions: 'recordProgress' },
    'job.concluded': { target: '.concluded', actions: 'recordProgress' },
    'job.null': { target: '.null' },
  },
  states: {
    created: {},
    running: {},
    paused: {},
    ready: {},
    standby: {},
    waiting: {},
    pending: {},
    aborting: {},
    concluded: {},
    null: {},
  },
});
