/** Where in its chart a saga is while a step runs, for those who only see the step: another process's records name steps. */
import type { Plan } from '../plan/plan.ts';
import type { Chart } from './chart.ts';
import { chartFor } from './machine-for.ts';

/** A state by its path, and whether the guest may be paused in it. */
export interface StateOfStep {
  readonly state: string;
  readonly guestPaused: boolean;
}

/** What is read of a state of a chart's plain configuration. */
interface Config {
  readonly tags?: unknown;
  readonly invoke?: unknown;
  readonly states?: Readonly<Record<string, Config>>;
}

const known = new WeakMap<Chart, ReadonlyMap<string, StateOfStep>>();

/** Undefined for a step that no state of this plan's chart runs. */
export function stateOfStep(plan: Plan, step: string): StateOfStep | undefined {
  const chart = chartFor(plan);
  let states = known.get(chart);
  if (states === undefined) {
    states = new Map(statesIn(chart.machine.config as object as Config, []));
    known.set(chart, states);
  }
  return states.get(step);
}

function statesIn(config: Config, path: readonly string[]): readonly (readonly [string, StateOfStep])[] {
  const { tags, invoke, states = {} } = config;
  const step = typeof invoke === 'object' && invoke !== null && 'src' in invoke ? invoke.src : undefined;
  const guestPaused = Array.isArray(tags) && tags.includes('guestPaused');
  const inside = Object.entries(states).flatMap(([name, state]) => statesIn(state, [...path, name]));
  // The same undo may run in two states: where its pause was in vain, and in the rollback, which is named first here.
  if (typeof step !== 'string' || path.at(-1) === 'backingOff') return inside;
  return [[step, { state: path.join('.'), guestPaused }], ...inside];
}
