/**
 * Which machine carries out which plan: one that has only the states that this saga can enter. Plans of the same shape share
 * one, which is made when it is asked for first.
 */
import type { Plan } from '../plan/plan.ts';
import { type Chart, chartOf } from './chart.ts';
import { revertRoute, rewriteRoute } from './rewrite-route.ts';
import type { Route } from './route.ts';
import type { SagaMachine } from './saga-setup.ts';
import { type Shape, shapeOf } from './shape.ts';
import { snapshotMirrorRoute } from './snapshot-mirror-route.ts';
import { snapshotRoute } from './snapshot-route.ts';
import { commitRoute, copyRoute } from './switch-route.ts';

/** The shapes are few: an operation with its strategy, and some flags. */
const charts = new Map<string, Chart>();

/**
 * The machine of a plan's saga. It runs with its steps provided, under the names that `chartFor(plan).actors` lists.
 *
 * @example
 * ```ts
 * const actor = createActor(machineFor(plan).provide({ actors }), { input: { plan }, inspect });
 * actor.start();
 * actor.send({ type: 'abort' });
 * ```
 */
export function machineFor(plan: Plan): SagaMachine {
  return chartFor(plan).machine;
}

/** The same with the names of its steps. */
export function chartFor(plan: Plan): Chart {
  return chartOfShape(shapeOf(plan));
}

export function chartOfShape(shape: Shape): Chart {
  const key = JSON.stringify(Object.entries(shape).sort());
  let chart = charts.get(key);
  if (chart === undefined) {
    chart = chartOf(routeOf(shape));
    charts.set(key, chart);
  }
  return chart;
}

/** The order of steps of all sagas of a shape. */
function routeOf(shape: Shape): Route {
  switch (shape.chart) {
    case 'snapshot':
      return snapshotRoute(shape);
    case 'copy':
      return copyRoute(shape);
    case 'commit':
      return commitRoute(shape);
    case 'rewrite':
      return rewriteRoute(shape);
    case 'revert':
      return revertRoute(shape);
    case 'snapshotMirror':
      return snapshotMirrorRoute(shape);
  }
}
