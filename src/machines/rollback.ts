/**
 * The rollback of a route: the undos of its steps, newest first, and where in that line a failure enters it. A step that has
 * certainly begun wherever the line comes to its undo is undone without a question; the others are tracked.
 */
import { type StepKey, splitKey } from '../steps/stages.ts';
import { type Place, stepOf } from './places.ts';
import type { Route } from './route.ts';

export interface Rollback {
  /** Steps whose undos follow each other, and the question that it may ask in between. */
  readonly line: readonly StepKey[];
  /** That question. */
  readonly asked: StepKey | undefined;
  /** Steps of the line that may not have begun, or are undone already, when the line comes to them. */
  readonly unsure: ReadonlySet<StepKey>;
  /** The first of the line for a saga that rolls back from this place; undefined where nothing is to be undone. */
  enteredFrom(place: Place): StepKey | undefined;
}

export function rollbackOf(route: Route, places: readonly Place[]): Rollback {
  const line = lineOf(route, places);
  const asked = route.asks?.step;
  const isBegun = ({ begun }: Place, step: StepKey) => begun.has(step) || step === asked;
  const undoneFrom = (place: Place) => {
    const entry = line.findIndex(step => isBegun(place, step) || place.maybeBegun.has(step));
    return entry < 0 ? [] : line.slice(entry);
  };
  const unsure = places
    .filter(mayRollBack)
    .flatMap(place => undoneFrom(place).filter(step => !isBegun(place, step)));
  return { line, asked, unsure: new Set(unsure), enteredFrom: place => undoneFrom(place)[0] };
}

/** Whether a saga may roll back from there: also from the end of its pause, where a migration has begun in it. */
function mayRollBack({ isDecided, step }: Place): boolean {
  return !isDecided || stepOf(step).pause === 'ends';
}

/** Newest first. */
function lineOf({ asks }: Route, places: readonly Place[]): readonly StepKey[] {
  const line: StepKey[] = [];
  let before: StepKey | undefined;
  for (const { step } of places) {
    // The steps of another end come last here; each is undone right before what it came after.
    if (!line.includes(step)) line.splice(before === undefined ? 0 : line.indexOf(before), 0, step);
    before = step;
  }
  for (const { step, undoneAfter } of places) {
    if (undoneAfter === undefined) continue;
    line.splice(line.indexOf(step), 1);
    line.splice(line.indexOf(undoneAfter) + 1, 0, step);
  }
  const undone = line.filter(step => 'undo' in stepOf(step));
  if (asks === undefined) return undone;
  const { stage: first } = splitKey(asks.step);
  const isOfFirst = (step: StepKey) => splitKey(step).stage === first;
  return [...undone.filter(step => !isOfFirst(step)), asks.step, ...undone.filter(isOfFirst)];
}
