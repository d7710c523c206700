/**
 * The house rules for steps and charts, checked on the things themselves, for every shape that a plan can have: one name
 * everywhere, an undo or a reason for none, charts that are plain data, rollbacks in reverse order, and no rollback from
 * behind a decision.
 */
import { describe, expect, test } from 'vitest';
import type { AnyStateNode } from 'xstate';
import { chartOf } from '../src/machines/chart.ts';
import { everyShape } from '../src/machines/every-shape.ts';
import { chartFor, chartOfShape, machineFor } from '../src/machines/machine-for.ts';
import { READY_MADE } from '../src/machines/ready-made.ts';
import type { Phase } from '../src/machines/route.ts';
import type { SagaMachine } from '../src/machines/saga-setup.ts';
import { type Shape, shapeOf } from '../src/machines/shape.ts';
import { ALL_STEPS, isStep } from '../src/steps/all-steps.ts';
import { splitKey, UNDO } from '../src/steps/stages.ts';

const CHARTS = ['snapshot', 'copy', 'commit', 'rewrite', 'revert', 'snapshotMirror'] as const;
/** Undone where an undo needs it and not where the step ran; `undoneAfter` in the routes says why. */
const OUT_OF_ORDER = ['mirror.openChains', 'snapshot.publishOverlays'];

describe('steps', () => {
  test.each(Object.entries(ALL_STEPS))(
    '%s has its own name, and an undo or a reason for none',
    (key, step) => {
      expect(step.name, 'a step has one name everywhere: its key in ALL_STEPS').toBe(key);
      if ('irreversible' in step)
        expect(step.irreversible, 'say why there is nothing to undo').toMatch(/\w+ \w+/);
      else
        expect(step.undo, 'write its undo, or say in `irreversible` why it has none').toBeTypeOf('function');
      expect('irreversible' in step && 'undo' in step, 'an undo, or a reason, not both').toBe(false);
    },
  );

  test('are each in some chart', () => {
    const run = new Set<string>(CHARTS.flatMap(drawn).flatMap(({ steps }) => steps.map(({ step }) => step)));
    expect(Object.keys(ALL_STEPS).filter(step => !run.has(step))).toEqual([]);
  });
});

describe.each(CHARTS)('each chart of a %s', name => {
  const charts = drawn(name);

  test('is plain data but for its context and its output', () => {
    const functions = charts.flatMap(({ machine }) => {
      const { context: _, output: __, ...rest } = machine.config;
      return functionsIn(rest);
    });
    expect(functions, 'give it a name in sagaSetup() and write the name here').toEqual([]);
  });

  test('has a description on every state', () => {
    const silent = charts.flatMap(({ nodes }) =>
      nodes.filter(({ description }) => !/\w+ \w+/.test(description ?? '')).map(({ id }) => id),
    );
    expect(silent, 'say in descriptions.ts what it is').toEqual([]);
  });

  test('has only states that a saga can come to', () => {
    for (const { machine, nodes } of charts) {
      const reached = reachedFrom(machine.root);
      expect(nodes.filter(node => !reached.has(node)).map(({ id }) => id)).toEqual([]);
    }
  });

  test('names each step state like its step', () => {
    const wrong = charts.flatMap(({ steps }) => steps.filter(({ node, step }) => node.key !== step));
    expect(wrong.map(({ node }) => node.id)).toEqual([]);
  });

  test('asks for the actors that its states invoke and for no others', () => {
    for (const { machine, nodes } of charts) {
      const asked = new Set(nodes.flatMap(sourcesOf));
      expect(new Set(Object.keys(machine.implementations.actors))).toEqual(asked);
    }
  });

  test('undoes what has run in exactly the reverse order, stage by stage', () => {
    for (const { undos, steps } of charts) {
      for (const stage of [null, 'snapshot', 'mirror']) {
        const own = (key: string) => splitKey(key).stage === stage && !OUT_OF_ORDER.includes(key);
        const undone = undos.filter(own);
        // A step of another end of a wait comes behind the rest in the chart, but for those that it shares.
        const ran = [...new Set(steps.map(({ key }) => key))].filter(key => own(key) && undone.includes(key));
        const others = keptSteps(steps);
        const inOrder = (key: string) => !others.includes(key);
        expect(undone.filter(inOrder)).toEqual(ran.filter(inOrder).reverse());
      }
    }
  });

  test('undoes every step from which it may still roll back, and nothing else', () => {
    for (const { undos, steps } of charts) {
      const reversible = steps.filter(
        ({ step, node }) => 'undo' in ALL_STEPS[step] && !node.tags.includes('decided'),
      );
      expect(new Set(undos)).toEqual(new Set(reversible.map(({ key }) => key)));
    }
  });

  test('says of each step state whether the saga is decided, and leads from none of those to an undo', () => {
    for (const { steps } of charts) {
      for (const { node } of steps.filter(each => !isRollback(each.node))) {
        expect(node.tags.includes('decided'), node.id).toBe(!node.tags.includes('reversible'));
        if (!node.tags.includes('decided')) continue;
        const back = edgesOf(node).filter(({ target }) => target?.some(isRollback));
        // A guest that is being migrated away has not run on its new images: resumeGuest has found that before it resumes.
        expect(
          back.filter(({ guard }) => guard !== 'migratesFirst'),
          node.id,
        ).toEqual([]);
        if (node.key !== 'resumeGuest') expect(back, node.id).toEqual([]);
      }
    }
  });

  test('leads on from its deciding step, whatever was asked meanwhile', () => {
    for (const { steps } of charts) {
      for (const { node, step } of steps.filter(each => 'decision' in ALL_STEPS[each.step])) {
        // What ends the mirrors with a switch still to come decides nothing; see `decides` there.
        const isDecision =
          step !== 'endMirrorsInPlace' || nextOf(node).some(({ tags }) => tags.includes('decided'));
        if (!isDecision) continue;
        expect(
          edgesOf(node).filter(({ guard }) => guard === 'abortRequested'),
          node.id,
        ).toEqual([]);
      }
    }
  });

  test('handles an abort wherever it can still roll back, and nowhere else', () => {
    for (const { steps } of charts) {
      for (const { node } of steps.filter(({ node }) => !isRollback(node)))
        expect(node.transitions.has('abort'), node.id).toBe(node.tags.includes('reversible'));
    }
  });

  test('says where the guest may be paused', () => {
    for (const { steps } of charts) {
      const pause = ['pauseGuest', 'reopenFilters', 'resumeGuest'];
      const paused = steps.filter(({ step }) => pause.includes(step)).map(({ node }) => node);
      const inPause = steps.some(({ step }) => step === 'pauseGuest');
      if (inPause) expect(paused.filter(({ tags }) => !tags.includes('guestPaused'))).toEqual([]);
      const before = steps.filter(({ step }) => step === 'claimFiles' || step === 'unmarkQemu');
      expect(before.filter(({ node }) => node.tags.includes('guestPaused'))).toEqual([]);
    }
  });
});

describe('charts', () => {
  test('are seen not to be plain data when a guard has no name', () => {
    expect(functionsIn({ on: { go: [{ guard: () => true, target: 'a' }] } })).toEqual(['on.go.0.guard']);
  });

  test('are the same machine for plans of the same shape, and others for others', () => {
    const plan = READY_MADE['copy-reopen'];
    const same = { ...plan, token: 'another', maxBlackoutMs: 1, disks: [...plan.disks, ...plan.disks] };
    expect(machineFor(same)).toBe(machineFor(plan));
    expect(machineFor({ ...plan, marksQemu: false })).not.toBe(machineFor(plan));
  });

  test('of the ready-made plans are among those of all shapes', () => {
    for (const plan of Object.values(READY_MADE)) {
      const every = everyShape(shapeOf(plan).chart).map(shape => chartOfShape(shape));
      expect(every.includes(chartFor(plan)), 'no shape of a ready-made plan is missing').toBe(true);
    }
  });

  test('refuse a route without a step', () => {
    const phases: readonly Phase[] = [{ name: 'preparing', description: 'nothing', inside: [] }];
    expect(() => chartOf({ chart: 'copy', phases })).toThrow(/a saga has a step/);
  });
});

interface StepState {
  readonly node: AnyStateNode;
  /** The step with its stage. */
  readonly key: string;
  readonly step: keyof typeof ALL_STEPS;
}

interface Drawn {
  readonly shape: Shape;
  readonly machine: SagaMachine;
  /** Every state, at any depth. */
  readonly nodes: readonly AnyStateNode[];
  /** Those that invoke a step itself (not its undo). */
  readonly steps: readonly StepState[];
  /** The steps that are undone, in the order of undoing. */
  readonly undos: readonly string[];
}

function drawn(name: (typeof CHARTS)[number]): readonly Drawn[] {
  return everyShape(name).map(shape => {
    const { machine } = chartOfShape(shape);
    const nodes = nodesBelow(machine.root);
    const undos = nodes.flatMap(sourcesOf).filter(source => source.startsWith(UNDO));
    const inLine = nodes.filter(isRollback).flatMap(sourcesOf);
    return {
      ...{ shape, machine, nodes, steps: nodes.flatMap(stepsAt) },
      undos: inLine.filter(source => undos.includes(source)).map(source => source.slice(UNDO.length)),
    };
  });
}

function nodesBelow(parent: AnyStateNode): readonly AnyStateNode[] {
  return Object.values(parent.states).flatMap((node: AnyStateNode) => [node, ...nodesBelow(node)]);
}

function stepsAt(node: AnyStateNode): readonly StepState[] {
  return sourcesOf(node).flatMap(key => {
    const { step } = splitKey(key);
    return isStep(step) ? [{ node, key, step }] : [];
  });
}

/** What comes only when the copies are kept. */
function keptSteps(steps: readonly StepState[]): readonly string[] {
  const isKept = ({ node }: StepState) => node.path[0] === 'keepingCopies';
  const main = steps.filter(each => !isKept(each)).map(({ key }) => key);
  return steps.filter(isKept).flatMap(({ key }) => (main.includes(key) ? [] : [key]));
}

function sourcesOf(node: AnyStateNode): readonly string[] {
  return node.invoke.map(({ src }) => String(src));
}

function isRollback({ path }: AnyStateNode): boolean {
  return path[0] === 'compensating' || path[0] === 'rolledBack';
}

function edgesOf(node: AnyStateNode) {
  return [...[...node.transitions.values()].flat(), ...(node.always ?? [])];
}

function nextOf(node: AnyStateNode): readonly AnyStateNode[] {
  return edgesOf(node)
    .filter(({ eventType }) => eventType.startsWith('xstate.done'))
    .flatMap(({ target }) => target ?? []);
}

/** All states to which a way leads. */
function reachedFrom(root: AnyStateNode): ReadonlySet<AnyStateNode> {
  const seen = new Set<AnyStateNode>([root]);
  for (const node of seen) {
    const entered = node.type === 'compound' ? node.initial.target : [];
    const above = node.parent === undefined ? [] : [node.parent];
    for (const next of [...edgesOf(node).flatMap(({ target }) => target ?? []), ...entered, ...above])
      seen.add(next);
  }
  return seen;
}

function functionsIn(value: unknown, path: readonly string[] = []): readonly string[] {
  if (typeof value === 'function') return [path.join('.')];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => functionsIn(member, [...path, key]));
}
