/**
 * What the machines of all operations share: context, signals, one state per step, and compensation. Actions only
 * assign; every effect is an actor, named like its step, that whoever runs the machine provides.
 */
import { assign, enqueueActions, fromPromise, setup } from 'xstate';
import { BlocksagaError, type ErrorRecord, invariant } from '../errors.ts';
import {
  type Finish,
  hasMirrors,
  type Plan,
  type SnapshotMethod,
  type SnapshotPlan,
  type Strategy,
  type SwitchPlan,
} from '../plan/plan.ts';
import type { Json } from '../qmp/transport.ts';
import { ALL_STEPS } from '../steps/all-steps.ts';
import { KEEP_COPIES } from '../steps/mirror/await-signal.ts';
import { LEFT } from '../steps/mirror/dismiss-mirrors.ts';
import { filledDisks } from '../steps/prepare/fill-targets.ts';
import { keyOf, type StepKey } from '../steps/stages.ts';
import { blockJobMachine } from './block-job-machine.ts';
import { errorOf, hasCode, migratesFirst } from './error-of.ts';
import { windowSteps } from './window-steps.ts';

/** What a saga's machine remembers: plain JSON. */
export interface SagaContext {
  readonly plan: Plan;
  /** Steps whose effect may be there, oldest first; compensation goes from the end. */
  readonly attempted: readonly StepKey[];
  /** Why the saga goes back, or why it is stranded: ABORTED when it was asked to; null where its plan says so. */
  readonly failure: ErrorRecord | null;
  /** An undo that failed on top of that. */
  readonly undoFailure: ErrorRecord | null;
  /** How often the switch was given up because the guest would have stood still for too long. */
  readonly relented: number;
  /** Whether jobs that should have been dismissed in the pause are still to be. */
  readonly undismissed: boolean;
  /** Whether it ends without a switch, as was asked: a snapshot without its mirrors, or copies beside the guest's disks. */
  readonly kept: boolean;
}

/** What a step's actor gives. */
export interface StepOutput {
  /** Whether the saga had been asked to leave when the step ended. */
  readonly abort: boolean;
  /** What the step came to; only questions have an answer that a machine looks at. */
  readonly value?: Json;
}

/**
 * What a machine is told besides its steps' ends. The signals only show in an inspector: what they bring about comes as
 * the end of a step, which is in the journal, so that a replay takes the same way.
 */
export type SagaEvent = { readonly type: 'pivot' | 'abort' | 'keepCopies' | 'keepSnapshot' };

/** The names under which a machine asks for its effects: each step, and the undo of each. */
export type StepActorName = StepKey | `undo.${StepKey}` | 'rescueGuest';

const unprovided = fromPromise<StepOutput>(() => {
  throw new Error('this machine has no steps of its own: run it with machine.provide({ actors })');
});

/** Every step in every stage. */
export const STEP_KEYS = [null, 'snapshot' as const, 'mirror' as const].flatMap(stage =>
  Object.keys(ALL_STEPS).map(step => keyOf(stage, step) as StepKey),
);
const ACTOR_NAMES: readonly StepActorName[] = [
  'rescueGuest',
  ...STEP_KEYS,
  ...STEP_KEYS.map(name => `undo.${name}` as const),
];

/** How often the guest may be paused in vain before the saga goes back. */
const RELENT_MAX = 20;

export const saga = setup({
  types: {
    context: {} as SagaContext,
    events: {} as SagaEvent,
    input: {} as { readonly plan: Plan },
  },
  actors: {
    ...(Object.fromEntries(ACTOR_NAMES.map(name => [name, unprovided])) as Record<
      StepActorName,
      typeof unprovided
    >),
    blockJob: blockJobMachine,
  },
  actions: {
    attempt: assign(({ context }, params: { step: StepKey }) => ({
      attempted: [...context.attempted.filter(step => step !== params.step), params.step],
    })),
    /** What happens in the window may be lost from the record when the process dies there: all of it counts as attempted. */
    attemptWindow: assign(({ context }) => {
      const steps = context.kept ? [] : windowSteps(context.plan);
      return { attempted: [...context.attempted.filter(step => !steps.includes(step)), ...steps] };
    }),
    forget: assign(({ context }, params: { step: StepKey }) => ({
      attempted: context.attempted.filter(step => step !== params.step),
    })),
    recordFailure: assign(({ context, event }) => ({ failure: context.failure ?? errorOf(event) })),
    recordAbort: assign(({ context }) => ({ failure: context.failure ?? ABORTED })),
    recordUndoFailure: assign(({ context, event }) => ({
      undoFailure: context.undoFailure ?? errorOf(event),
    })),
    recordKept: assign({ kept: true, failure: null }),
    recordUndismissed: assign({ undismissed: true }),
    recordGoingOn: assign({ failure: null }),
    relent: assign(({ context }) => ({ relented: context.relented + 1 })),
    followJobs: enqueueActions(({ context, enqueue }) => {
      for (const disk of context.plan.disks) {
        const input = { disk: disk.disk, job: disk.names.job };
        enqueue.spawnChild('blockJob', { id: jobActorId(disk.disk), input });
      }
    }),
  },
  guards: {
    abortRequested: ({ event }) => 'output' in event && (event.output as StepOutput).abort,
    notAttempted: ({ context }, params: { step: StepKey }) => !context.attempted.includes(params.step),
    wasOvertaken: ({ event }) => hasCode(event, 'OVERTAKEN'),
    migratesFirst: ({ event }) => migratesFirst(errorOf(event)),
    wasAborted: ({ event }) => hasCode(event, 'ABORTED'),
    mayRelent: ({ context, event }) => hasCode(event, 'NOT_CONVERGING') && context.relented < RELENT_MAX,
    finishIs: ({ context }, params: { finish: Finish }) => finishOf(context) === params.finish,
    strategyIs: ({ context }, params: { strategy: Strategy }) =>
      switchPlan(context).strategy === params.strategy,
    methodIs: ({ context }, params: { method: SnapshotMethod }) =>
      snapshotPlan(context)?.method === params.method,
    fillsTargets: ({ context }) => filledDisks(context.plan).length > 0,
    marksQemu: ({ context }) => context.plan.marksQemu,
    publishes: ({ context, context: { plan } }) =>
      plan.onCommit !== null && !(hasMirrors(plan) && finishOf(context) === 'clone'),
    holdsBack: ({ context: { plan } }) => 'heldBack' in plan && plan.heldBack,
    removesLeaving: ({ context: { plan } }) => 'deletes' in plan && plan.deletes,
    hasIothreads: ({ context }) => switchPlan(context).iothreads,
    isDismissed: ({ context }) => switchPlan(context).iothreads && !context.undismissed,
    leavesJobs: ({ event }) => 'output' in event && (event.output as StepOutput).value === LEFT,
    qemuOpens: ({ context }) => {
      const plan = switchPlan(context);
      return plan.operation === 'copy' && plan.mirror.by === 'drive-mirror';
    },
    isOfSeveral: ({ context }) => context.plan.disks.length > 1,
    quiesces: ({ context }) => (snapshotPlan(context)?.quiesce ?? null) !== null,
    keepsCopies: ({ event }) => 'output' in event && (event.output as StepOutput).value === KEEP_COPIES,
    isYes: ({ event }) => 'output' in event && (event.output as StepOutput).value === true,
  },
});

/** The context that a saga starts with. */
export function initialContext({ input }: { input: { readonly plan: Plan } }): SagaContext {
  return {
    plan: input.plan,
    attempted: [],
    failure: null,
    undoFailure: null,
    relented: 0,
    undismissed: false,
    kept: false,
  };
}

const ABORTED = new BlocksagaError('ABORTED', 'the saga was asked to go back').toJSON();

/** How a saga leaves that was asked to while a step ran. */
const leaving = { guard: 'abortRequested', target: '#compensating', actions: 'recordAbort' } as const;

/** A step's actor as a state invokes it. All are alike; the compiler gives up on telling more than 25 of them apart, so it is shown one. */
export function actorOf(name: StepActorName): 'markQemu' {
  return name as 'markQemu';
}

/** One target of a transition, with the guard under which it is taken. */
type Target =
  | string
  | { readonly guard: Guard; readonly target: string; readonly actions?: 'recordKept' | 'recordUndismissed' };
type Guard =
  | { readonly type: 'finishIs'; readonly params: { readonly finish: Finish } }
  | { readonly type: 'strategyIs'; readonly params: { readonly strategy: Strategy } }
  | { readonly type: 'methodIs'; readonly params: { readonly method: SnapshotMethod } }
  | { readonly type: 'fillsTargets' }
  | { readonly type: 'keepsCopies' }
  | { readonly type: 'leavesJobs' }
  | { readonly type: 'quiesces' }
  | { readonly type: 'qemuOpens' }
  | { readonly type: 'isOfSeveral' }
  | { readonly type: 'marksQemu' };

/**
 * The state in which one step runs, before the decision: it leaves to `next` when the step has ended well, to
 * compensation when it failed or when the saga was asked to leave meanwhile.
 */
export function stepState(step: StepKey, ...next: readonly Target[]) {
  return saga.createStateConfig({
    entry: { type: 'attempt', params: { step } },
    invoke: {
      src: actorOf(step),
      onDone: [leaving, ...next.map(transition)],
      onError: { target: '#compensating', actions: 'recordFailure' },
    },
  });
}

/** The state of the step that the decision goes with: a failure goes back, success only forward, asked or not. */
export function decidingState(step: StepKey, ...next: readonly Target[]) {
  return saga.createStateConfig({
    entry: { type: 'attempt', params: { step } },
    invoke: {
      src: actorOf(step),
      onDone: next.map(transition),
      onError: { target: '#compensating', actions: 'recordFailure' },
    },
  });
}

/**
 * The state of a step that only goes forward from its first byte on: it may still be left by a saga that was asked to
 * leave right before it; any other failure strands it.
 */
export function pointOfNoReturn(step: StepKey, next: string) {
  return saga.createStateConfig({
    entry: { type: 'attempt', params: { step } },
    invoke: {
      src: actorOf(step),
      onDone: next,
      onError: [
        { guard: 'wasAborted', target: '#compensating', actions: 'recordFailure' },
        { target: '#stranded', actions: 'recordFailure' },
      ],
    },
  });
}

/** Like `stepState`, but a guest that writes faster than its mirrors follow is let run on, and it is tried again. */
export function relentingState(step: StepKey, ...next: readonly Target[]) {
  return saga.createStateConfig({
    entry: { type: 'attempt', params: { step } },
    invoke: {
      src: actorOf(step),
      onDone: [leaving, ...next.map(transition)],
      onError: [
        { guard: 'mayRelent', target: '#relenting' },
        { target: '#compensating', actions: 'recordFailure' },
      ],
    },
  });
}

/** The state of a step that runs after the decision: there is no way back, so a failure strands the saga. */
export function forwardState(step: StepKey, ...next: readonly Target[]) {
  return saga.createStateConfig({
    entry: { type: 'attempt', params: { step } },
    invoke: {
      src: actorOf(step),
      onDone: next.map(transition),
      onError: { target: '#stranded', actions: 'recordFailure' },
    },
  });
}

/** What a saga hears in every state. */
export const signals = {
  abort: {},
  pivot: {},
  keepCopies: {},
  keepSnapshot: {},
} as const;

function transition(target: Target): Exclude<Target, string> | { readonly target: string } {
  return typeof target === 'string' ? { target } : target;
}

/** The child actor that follows the block job of a disk; send it `job.running`, `job.ready`, ... */
export function jobActorId(disk: string): string {
  return `job:${disk}`;
}

/** How it ends: as planned, or as it was asked while it waited. */
function finishOf(context: SagaContext): Finish {
  return context.kept ? 'clone' : switchPlan(context).finish;
}

function switchPlan({ plan }: SagaContext): SwitchPlan {
  if (plan.operation === 'snapshotMirror') return plan.mirror;
  invariant(hasMirrors(plan), 'only what has mirrors has a finish and a strategy');
  return plan;
}

function snapshotPlan({ plan }: SagaContext): SnapshotPlan | undefined {
  if (plan.operation === 'snapshotMirror') return plan.snapshot;
  return plan.operation === 'snapshot' ? plan : undefined;
}
