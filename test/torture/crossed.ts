/**
 * Which states of the machines the operations under torture pass, so that "every operation" can be counted. States that a
 * machine only decides in are left at once and have no boundary. Pure.
 */
import type { AnyStateNode } from 'xstate';
import { everyShape } from '../../src/machines/every-shape.ts';
import { chartOfShape } from '../../src/machines/machine-for.ts';
import type { ChartName } from '../../src/machines/shape.ts';
import type { Operation } from './operation.ts';
import { operationNamed } from './operations.ts';
import { stateOf, type Undisturbed } from './rounds.ts';

/** By machine, the states in which none of its runs was; nothing of machines that have none. */
export function uncrossed(runs: readonly Undisturbed[]): readonly string[] {
  return CHARTS.flatMap(machine => {
    const own = runs.filter(({ operation }) => machineOf(operationNamed(operation)) === machine);
    if (own.length === 0) return [];
    const crossed = new Set(own.flatMap(({ moments }) => moments.map(stateOf)));
    return statesOf(machine)
      .filter(state => !crossed.has(state))
      .map(state => `${machine}: ${state}`);
  });
}

/** The states in which a step runs, and those in which a saga ends, over all shapes of a chart. */
export function statesOf(chart: ChartName): readonly string[] {
  const states = everyShape(chart)
    .flatMap(shape => leavesOf(chartOfShape(shape).machine.root))
    .filter(node => node.invoke.length > 0 || node.type === 'final')
    .map(node => node.path.join('.'));
  return [...new Set(states)];
}

const CHARTS = ['snapshot', 'copy', 'commit', 'rewrite', 'revert', 'snapshotMirror'] as const;

function leavesOf(node: AnyStateNode): readonly AnyStateNode[] {
  const children = Object.values(node.states);
  return children.length === 0 ? [node] : children.flatMap(leavesOf);
}

/** None where no QEMU runs. */
function machineOf({ request, mirrors }: Operation): ChartName | undefined {
  switch (request.operation) {
    case 'commitOffline':
      return undefined;
    case 'pull':
      return 'rewrite';
    case 'commit':
      return request.options.active ? 'commit' : 'rewrite';
    case 'snapshot':
      return mirrors === undefined ? 'snapshot' : 'snapshotMirror';
    default:
      return request.operation;
  }
}
