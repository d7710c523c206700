/** How the edges of a chart are written. Pure. */
import { type StepKey, splitKey } from '../steps/stages.ts';
import type { Path, Place } from './places.ts';
import type { Rollback } from './rollback.ts';

export const STRANDED: Path = ['stranded'];

/** What an edge says to lead from one state to another: the name of a neighbour, or the way from the root. */
export function edge(chart: string, from: Path, to: Path): string {
  const isNeighbour = from.slice(0, -1).join('.') === to.slice(0, -1).join('.');
  return isNeighbour ? (to.at(-1) ?? '') : `#${chart}.${to.join('.')}`;
}

/** The state of an undo; a dot would be taken for a path to an inner state. Or the question on a rollback. */
export function undoPath(step: StepKey, asked: StepKey | undefined): Path {
  return ['compensating', step === asked ? splitKey(step).step : `undo ${step.replace('.', ' ')}`];
}

/** Where the rollback of a saga begins that leaves this place. */
export function entryOf({ enteredFrom, asked }: Rollback, place: Place): Path {
  const first = enteredFrom(place);
  return first === undefined ? ['rolledBack'] : undoPath(first, asked);
}
