/**
 * Walks through a saga's chart as model-based tests do: with `xstate/graph`, every step once ending well, ending well after an
 * abort was asked for, and failing. No step is run. Which states count as the same is said here, since a context holds texts.
 */
import type { AnyStateNode, SnapshotFrom } from 'xstate';
import { getShortestPaths } from 'xstate/graph';
import { BlocksagaError, type ErrorRecord } from '../errors.ts';
import type { Plan } from '../plan/plan.ts';
import { machineFor } from './machine-for.ts';
import type { SagaEnd, SagaEvent, SagaMachine, StepOutput } from './saga-setup.ts';

/** A shortest way to one situation of a saga. */
export interface SagaPath {
  /** The states that are entered, such as `switching.pauseGuest`, the first one first. */
  readonly states: readonly string[];
  /** What leads from each to the next: `markQemu ends`, `pauseGuest ends, asked to abort`, `reopenFilters fails`, `pivot`. */
  readonly events: readonly string[];
  /** How the saga has ended there; null where it has not. */
  readonly end: SagaEnd | null;
}

type Snapshot = SnapshotFrom<SagaMachine>;

/** How steps fail here: as most do, with nothing applied. */
const FAILURE = new BlocksagaError('JOB_FAILED', 'a step fails').toJSON();

/**
 * The shortest way to each situation that a saga of this plan can come to, the shortest first. `failures` are how steps may fail;
 * each doubles the ways.
 *
 * @example
 * ```ts
 * const ends = new Set(pathsThrough(READY_MADE['copy-reopen']).map(({ end }) => end));
 * console.log([...ends].filter(end => end !== null).sort().join(' ')); // committed needsRecovery rolledBack
 * ```
 */
export function pathsThrough(plan: Plan, failures: readonly ErrorRecord[] = [FAILURE]): readonly SagaPath[] {
  const machine = machineFor(plan);
  const paths = getShortestPaths(machine, {
    input: { plan },
    events: (snapshot: Snapshot) => eventsAt(machine.root, snapshot, failures),
    serializeState: (snapshot: Snapshot) => situationOf(snapshot),
  });
  return paths
    .map(({ steps, state }) => ({
      states: steps.map(step => pathOf(step.state.value)),
      events: steps.slice(1).map(step => eventInWords(step.event)),
      end: state.output?.outcome ?? null,
    }))
    .sort((one, other) => one.states.length - other.states.length);
}

/** What may happen next: the step that a state invokes ends in each way, or the saga is asked. */
function eventsAt(root: AnyStateNode, snapshot: Snapshot, failures: readonly ErrorRecord[]): SagaEvent[] {
  const invoked = entered(root, snapshot.value).flatMap(node => node.invoke.map(({ id }) => id));
  const done = (id: string, output: StepOutput) => ({ type: `xstate.done.actor.${id}`, output });
  const events: readonly object[] = [
    ...invoked.flatMap(id => [
      done(id, { abort: false }),
      done(id, { abort: true }),
      ...failures.map(error => ({ type: `xstate.error.actor.${id}`, error })),
    ]),
    ...(['pivot', 'abort', 'keepCopies', 'keepSnapshot'] as const).map(type => ({ type })),
  ];
  return events as readonly object[] as SagaEvent[];
}

/** The states that are entered, below this one. */
function entered(node: AnyStateNode, value: unknown): readonly AnyStateNode[] {
  const below = typeof value === 'object' && value !== null ? Object.entries(value) : [[String(value), null]];
  return below.flatMap(([name, inner]) => {
    const state = node.states[String(name)];
    if (state === undefined) return [];
    return inner === null ? [state] : [state, ...entered(state, inner)];
  });
}

/** Two snapshots are the same situation where the same can become of both. */
function situationOf({ value, context }: Snapshot): string {
  const { attempted, failure, undoFailure, switchAttempts, undismissed, kept } = context;
  return JSON.stringify([
    value,
    attempted,
    failure?.code,
    undoFailure?.code,
    switchAttempts > 0,
    undismissed,
    kept,
  ]);
}

function pathOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([state, below]) => `${state}.${pathOf(below)}`)
    .join(',');
}

function eventInWords(event: { readonly type: string; readonly output?: unknown }): string {
  const [, how, step] = /^xstate\.(done|error)\.actor\..*?([^.]+)$/.exec(event.type) ?? [];
  if (step === undefined) return event.type;
  if (how === 'error') return `${step} fails`;
  const { abort } = event.output as StepOutput;
  return `${step} ends${abort ? ', asked to abort' : ''}`;
}
