/** The stops of a route with where each lies in its chart, what comes next, and what has begun by then. Pure. */
import { invariant } from '../errors.ts';
import { ALL_STEPS, isStep } from '../steps/all-steps.ts';
import { type StepKey, splitKey } from '../steps/stages.ts';
import type { Step } from '../steps/step/step.ts';
import { isPhase, type Phase, type Route, type Stop } from './route.ts';

/** A state by the names of the states around it and its own. */
export type Path = readonly string[];

export interface Place extends Stop {
  readonly path: Path;
  /** Where its good end leads. */
  readonly next: Path;
  /** Whether the decision is behind it: it only rolls forward. */
  readonly isDecided: boolean;
  /** Whether the guest may be paused by the saga. */
  readonly isPaused: boolean;
  /** The steps that have begun when it ends, it included, and those of whose beginning no record may tell. */
  readonly begun: ReadonlySet<StepKey>;
  /** Steps that may have begun too, in a pause that was in vain. */
  readonly maybeBegun: ReadonlySet<StepKey>;
  /** The step that pauses the guest, on the way that the place is on; and where it is waited for the next pause. */
  readonly pause: StepKey | undefined;
  readonly waits: Path;
  /** Whether it is, or comes before, a wait for what it is to come to. */
  readonly mayWait: boolean;
  /** What counts as begun with the pause that it opens. */
  readonly window: readonly StepKey[];
}

/** The places of all steps, in order; those of the other end of a wait behind the rest. */
export function placesOf({ phases, keepsCopies }: Route): readonly Place[] {
  const main = stopsOf(phases);
  if (keepsCopies === undefined) return placed(main);
  const fork = main.findIndex(({ step }) => step === keepsCopies.from) + 1;
  const other = [...main.slice(0, fork), ...stopsOf([keepsCopies.phase])];
  return [...placed(main), ...placed(other).slice(fork)];
}

/** The step by itself, whichever stage it belongs to. */
export function stepOf(key: StepKey): Step {
  const name = splitKey(key).step;
  invariant(isStep(name), `${key} is a step`);
  return ALL_STEPS[name];
}

interface Inside extends Stop {
  readonly phases: readonly Phase[];
}

function stopsOf(phases: readonly Phase[], above: readonly Phase[] = []): readonly Inside[] {
  return phases.flatMap(phase => {
    const inside = [...above, phase];
    return phase.inside.flatMap(each =>
      isPhase(each) ? stopsOf([each], inside) : [{ ...each, phases: inside }],
    );
  });
}

const DECIDING: ReadonlySet<string> = new Set(['decides', 'decidesFirst', 'decidesTogether']);

function placed(stops: readonly Inside[]): readonly Place[] {
  const ordinary = stops.filter(stop => !isOvertaken(stop));
  const decision = ordinary.findIndex(
    ({ role, rollsBack }) => (role !== undefined && DECIDING.has(role)) || rollsBack,
  );
  const opens = ordinary.findIndex(({ step }) => stepOf(step).window === 'opens');
  const closes = ordinary.findIndex(({ step }) => stepOf(step).window === 'closes');
  const waits = ordinary[opens - 1];
  const wait = ordinary.findIndex(({ step }) => splitKey(step).step === 'awaitSignal');
  const inVain = ordinary.slice(opens + 1, ordinary.findLastIndex(({ backsOff }) => backsOff) + 1);
  return stops.map((stop, index) => {
    const at = ordinary.indexOf(stop);
    const next = stops.slice(index + 1).find(each => !isOvertaken(each));
    const repeated = at >= opens - 1 ? inVain : [];
    return {
      ...stop,
      path: pathOf(stop),
      next: next === undefined ? ['committed'] : pathOf(next),
      isDecided: at < 0 || (decision >= 0 && at > decision),
      isPaused: opens >= 0 && at >= opens && at <= closes,
      begun: new Set([...ordinary.slice(0, at + 1).map(({ step }) => step), ...inPause([stop])]),
      maybeBegun: new Set([...repeated.map(({ step }) => step), ...inPause(repeated)]),
      pause: ordinary[opens]?.step,
      waits: waits === undefined ? [] : pathOf(waits),
      mayWait: at >= 0 && at <= wait,
      window: at === opens ? inPause([stop]) : [],
    };
  });
}

function isOvertaken({ role }: Stop): boolean {
  return role === 'overtaken';
}

/** What counts as begun in the pauses that these stops lie in. */
function inPause(stops: readonly Inside[]): readonly StepKey[] {
  return stops.flatMap(({ phases }) => phases.flatMap(({ window = [] }) => window));
}

function pathOf({ phases, step }: Inside): Path {
  return [...phases.map(({ name }) => name), splitKey(step).step];
}
