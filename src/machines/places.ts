/** The steps of a route with where each lies in its chart, what comes next, and what has begun by then. Pure. */
import { definedOnly, invariant } from '../errors.ts';
import { ALL_STEPS, isStep } from '../steps/all-steps.ts';
import { type StepKey, splitKey } from '../steps/stages.ts';
import type { Step } from '../steps/step/step.ts';
import { isPhase, type Phase, type Route, type RouteStep } from './route.ts';

/** A state by the names of the states around it and its own. */
export type Path = readonly string[];

export interface Place extends RouteStep {
  readonly path: Path;
  /** Where its good end leads. */
  readonly next: Path;
  /** Whether it takes the decision: of the saga, or of its stage alone, behind which the saga can still roll back. */
  readonly decides?: 'saga' | 'stage';
  /** Whether the decision is behind it: it only rolls forward. */
  readonly isDecided: boolean;
  /** Whether the guest may be paused by the saga. */
  readonly isPaused: boolean;
  /** The steps that have begun when it ends, it included, and those that count as begun with the pause that it lies in. */
  readonly begun: ReadonlySet<StepKey>;
  /** Steps that may have begun too, in a pause that was in vain. */
  readonly maybeBegun: ReadonlySet<StepKey>;
  /** The step that pauses the guest, on the way that the place is on; and where it is waited for the next pause. */
  readonly pause: StepKey | undefined;
  readonly waits: Path;
  /** Whether it is, or comes before, a wait for what it is to come to. */
  readonly mayWait: boolean;
  /** What counts as begun with the pause that it begins. */
  readonly begunWithIt: readonly StepKey[];
}

/** The places of all steps, in order; those of the other end of a wait behind the rest. */
export function placesOf({ phases, keepsCopies }: Route): readonly Place[] {
  const main = stepsOf(phases);
  if (keepsCopies === undefined) return placed(main);
  const fork = main.findIndex(({ step }) => step === keepsCopies.from) + 1;
  const other = [...main.slice(0, fork), ...stepsOf([keepsCopies.phase])];
  return [...placed(main), ...placed(other).slice(fork)];
}

/** The step by itself, whichever stage it belongs to. */
export function stepOf(key: StepKey): Step {
  const name = splitKey(key).step;
  invariant(isStep(name), `${key} is a step`);
  return ALL_STEPS[name];
}

interface Inside extends RouteStep {
  readonly phases: readonly Phase[];
}

function stepsOf(phases: readonly Phase[], above: readonly Phase[] = []): readonly Inside[] {
  return phases.flatMap(phase => {
    const inside = [...above, phase];
    return phase.inside.flatMap(each =>
      isPhase(each) ? stepsOf([each], inside) : [{ ...each, phases: inside }],
    );
  });
}

function placed(steps: readonly Inside[]): readonly Place[] {
  const ordinary = steps.filter(({ ifOvertaken }) => !ifOvertaken);
  const deciders = decidersOf(ordinary);
  const decision = ordinary.findIndex(each => deciders.get(each) === 'saga' || each.endsInRollback);
  const begins = ordinary.findIndex(({ step }) => stepOf(step).pause === 'begins');
  const ends = ordinary.findIndex(({ step }) => stepOf(step).pause === 'ends');
  const waits = ordinary[begins - 1];
  const wait = ordinary.findIndex(({ step }) => splitKey(step).step === 'awaitSignal');
  const begunWith = ({ phases }: Inside) =>
    steps.flatMap(each => (each.begunWithPause && isIn(phases, each) ? each.step : []));
  const inVain = ordinary.slice(begins + 1, ordinary.findLastIndex(({ backsOff }) => backsOff) + 1);
  return steps.map((each, index) => {
    const at = ordinary.indexOf(each);
    const next = steps.slice(index + 1).find(({ ifOvertaken }) => !ifOvertaken);
    const decides = deciders.get(each);
    const repeated = at >= begins - 1 ? inVain : [];
    return {
      ...each,
      ...definedOnly({ decides }),
      path: pathOf(each),
      next: next === undefined ? ['committed'] : pathOf(next),
      isDecided: at < 0 || (decision >= 0 && at > decision),
      isPaused: begins >= 0 && at >= begins && at <= ends,
      begun: new Set([...ordinary.slice(0, at + 1).map(({ step }) => step), ...begunWith(each)]),
      maybeBegun: new Set([...repeated.flatMap(other => [other.step, ...begunWith(other)])]),
      pause: ordinary[begins]?.step,
      waits: waits === undefined ? [] : pathOf(waits),
      mayWait: at >= 0 && at <= wait,
      begunWithIt: at === begins ? begunWith(each) : [],
    };
  });
}

/** Of each stage the last step that can take a decision takes it; the last of those takes the saga's. */
function decidersOf(steps: readonly Inside[]): ReadonlyMap<Inside, 'saga' | 'stage'> {
  const able = steps.filter(({ step }) => stepOf(step).decision !== undefined);
  const last = new Map(able.map(each => [splitKey(each.step).stage, each]));
  const ofSaga = able.at(-1);
  return new Map([...last.values()].map(each => [each, each === ofSaga ? 'saga' : 'stage']));
}

/** Whether a step lies in one of these phases, and in no phase within it. */
function isIn(phases: readonly Phase[], step: Inside): boolean {
  const inner = step.phases.at(-1);
  return inner !== undefined && phases.includes(inner);
}

function pathOf({ phases, step }: Inside): Path {
  return [...phases.map(({ name }) => name), splitKey(step).step];
}
