/**
 * What the charts of all sagas share: context, events, guards and actions. Actions only assign; every effect is an actor,
 * named like its step, that is provided by what runs the machine. Knows no order of steps.
 */
import { assign, enqueueActions, fromPromise, setup } from 'xstate';
import { BlocksagaError, type ErrorRecord, invariant } from '../errors.ts';
import type { Plan } from '../plan/plan.ts';
import type { Json } from '../qmp/transport.ts';
import { KEEP_COPIES } from '../steps/mirror/await-signal.ts';
import { LEFT } from '../steps/mirror/dismiss-mirrors.ts';
import type { StepKey } from '../steps/stages.ts';
import { blockJobMachine } from './block-job-machine.ts';
import { errorOf, hasCode, migratesFirst, withLater } from './error-of.ts';

/** What a saga's machine remembers: plain JSON. */
export interface SagaContext {
  readonly plan: Plan;
  /** Of the steps whose undo may be skipped (guard `notAttempted`), those that have begun; oldest first. */
  readonly attempted: readonly StepKey[];
  /** What it was asked, in order; that it counts comes as the end of a step. */
  readonly asked: readonly SagaSignal[];
  /** Why the saga rolls back, or why it is stranded: ABORTED when it was asked to; null where its plan says so. */
  readonly failure: ErrorRecord | null;
  /** An undo that failed on top of that. */
  readonly undoFailure: ErrorRecord | null;
  /** How often the switch was given up because the guest would have been paused for too long. */
  readonly switchAttempts: number;
  /** Whether jobs that should have been dismissed in the pause are still to be. */
  readonly undismissed: boolean;
  /** Whether it ends without a switch, as was asked: a snapshot without its mirrors, or copies beside the guest's disks. */
  readonly kept: boolean;
}

/** What a step's actor gives. */
export interface StepOutput {
  /** Whether the saga had been asked to roll back when the step ended. */
  readonly abort: boolean;
  /** What the step came to; only questions have an answer that a machine looks at. */
  readonly value?: Json;
}

/** What a saga may be asked. */
export type SagaSignal = 'pivot' | 'abort' | 'keepCopies' | 'keepSnapshot';

/**
 * What a machine is told besides its steps' ends. A state that handles a signal can still follow it: `snapshot.can({ type:
 * 'abort' })`. What it brings about comes as the end of a step, which is in the journal, so that a replay takes the same way.
 */
export interface SagaEvent {
  readonly type: SagaSignal;
}

/** How a saga ends: the output of its machine. */
export interface SagaOutput extends Pick<SagaContext, 'failure' | 'undoFailure' | 'kept'> {
  readonly outcome: SagaEnd;
}

export const SAGA_ENDS = ['committed', 'rolledBack', 'needsRecovery'] as const;

export type SagaEnd = (typeof SAGA_ENDS)[number];

/** The names under which a machine asks for its effects: each step, and the undo of each. */
export type StepActorName = StepKey | `undo.${StepKey}` | 'rescueGuest';

/** What runs a step: a promise of what it came to. */
export type StepLogic = typeof unprovided;

const unprovided = fromPromise<StepOutput>(() => {
  throw new Error('this machine has no steps of its own: run it with machine.provide({ actors })');
});

/** How often the guest may be paused in vain before the saga rolls back. */
const SWITCH_ATTEMPTS_MAX = 20;

const ABORTED = new BlocksagaError('ABORTED', 'the saga was asked to roll back').toJSON();

/** The setup of a machine that asks for these actors and no others. */
export function sagaSetup(names: readonly StepActorName[]) {
  return setup({
    types: {
      context: {} as SagaContext,
      events: {} as SagaEvent,
      input: {} as { readonly plan: Plan },
      output: {} as SagaOutput,
      tags: {} as SagaTag,
    },
    actors: actorsNamed(names),
    actions: {
      attempt: assign(({ context }, { steps }: { readonly steps: readonly StepKey[] }) => ({
        attempted: [...context.attempted.filter(step => !steps.includes(step)), ...steps],
      })),
      forget: assign(({ context }, params: { readonly step: StepKey }) => ({
        attempted: context.attempted.filter(step => step !== params.step),
      })),
      recordSignal: assign(({ context, event }) => ({ asked: [...context.asked, event.type] })),
      recordFailure: assign(({ context, event }) => ({ failure: context.failure ?? errorOf(event) })),
      recordAbort: assign(({ context }) => ({ failure: context.failure ?? ABORTED })),
      recordUndoFailure: assign(({ context, event }) => ({
        undoFailure: context.undoFailure ?? errorOf(event),
      })),
      recordRescueFailure: assign(({ context, event }) => ({
        undoFailure: withLater(context.undoFailure, errorOf(event)),
      })),
      recordKept: assign({ kept: true, failure: null }),
      recordUndismissed: assign({ undismissed: true }),
      recordGoingOn: assign({ failure: null }),
      backOff: assign(({ context }) => ({ switchAttempts: context.switchAttempts + 1 })),
      followJobs: enqueueActions(({ context, enqueue }) => {
        for (const disk of context.plan.disks) {
          const input = { disk: disk.disk, job: disk.names.job };
          enqueue.spawnChild(blockJobMachine, { id: jobActorId(disk.disk), input });
        }
      }),
    },
    guards: {
      abortRequested: ({ event }) => 'output' in event && (event.output as StepOutput).abort,
      notAttempted: ({ context }, params: { readonly step: StepKey }) =>
        !context.attempted.includes(params.step),
      wasOvertaken: ({ event }) => hasCode(event, 'OVERTAKEN'),
      migratesFirst: ({ event }) => migratesFirst(errorOf(event)),
      isGroupBack: ({ event }) => hasCode(event, 'GROUP'),
      isNotBegun: ({ event }) => errorOf(event)?.effect === 'notApplied',
      mayBackOff: ({ context, event }) =>
        hasCode(event, 'NOT_CONVERGING') && context.switchAttempts < SWITCH_ATTEMPTS_MAX,
      keepsCopies: ({ event }) => 'output' in event && (event.output as StepOutput).value === KEEP_COPIES,
      isDismissed: ({ context }) => !context.undismissed,
      leavesJobs: ({ event }) => 'output' in event && (event.output as StepOutput).value === LEFT,
      isYes: ({ event }) => 'output' in event && (event.output as StepOutput).value === true,
    },
  });
}

/** What is said of states: the guest may be paused by the saga; it may still roll back; it only rolls forward. */
export type SagaTag = 'guestPaused' | 'reversible' | 'decided';

type SagaSetup = ReturnType<typeof sagaSetup>;
/** One state of a chart. */
export type SagaState = Parameters<SagaSetup['createStateConfig']>[0];
/** The machine of a saga. */
export type SagaMachine = ReturnType<SagaSetup['createMachine']>;

function actorsNamed(names: readonly StepActorName[]): Readonly<Record<string, StepLogic>> {
  return Object.fromEntries(names.map(name => [name, unprovided]));
}

/** The child actor that follows the block job of a disk; send it `job.running`, `job.ready`, ... */
export function jobActorId(disk: string): string {
  return `job:${disk}`;
}

/** The context that a saga starts with. */
export function initialContext({ input }: { readonly input: { readonly plan: Plan } }): SagaContext {
  return {
    plan: input.plan,
    attempted: [],
    asked: [],
    failure: null,
    undoFailure: null,
    switchAttempts: 0,
    undismissed: false,
    kept: false,
  };
}

/** The final state's name with what led there. */
export function outputOf({
  context,
  event,
}: {
  context: SagaContext;
  event: { output: unknown };
}): SagaOutput {
  const outcome = SAGA_ENDS.find(end => end === event.output);
  invariant(outcome !== undefined, 'each final state of a chart gives its own name');
  const { failure, undoFailure, kept } = context;
  return { outcome, failure, undoFailure, kept };
}
