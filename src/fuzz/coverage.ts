/**
 * What of the state space a fuzzing run has been through: states and transitions of the machines, and which faults struck
 * in which state. It counts what happened and names what never did.
 */
import type { AnyStateNode } from 'xstate';
import { ERROR_CODES } from '../errors.ts';
import { everyShape } from '../machines/every-shape.ts';
import { chartOfShape } from '../machines/machine-for.ts';
import type { ChartName } from '../machines/shape.ts';
import { type Account, placeOf } from './account/account.ts';
import { FOREIGN_COMMANDS } from './scenario/foreign-commands.ts';
import type { Wish } from './scenario/wish.ts';

/** How much of something has been reached, and what has not. */
interface Reached {
  readonly reached: number;
  readonly total: number;
  readonly never: readonly string[];
}

export interface CoverageReport {
  readonly states: Reached;
  readonly transitions: Reached;
  /** Transitions, third parties' commands and codes of errors by name; see `probes.ts`. */
  readonly probes: Reached & { readonly hit: readonly string[] };
  /** How often each kind of fault struck in each state, most often first. */
  readonly faults: readonly { readonly state: string; readonly kind: string; readonly count: number }[];
  /** States that were entered and in which no fault ever struck. */
  readonly unharmed: readonly string[];
}

/** What was seen, as plain data. */
export interface Seen {
  readonly states: readonly string[];
  readonly transitions: readonly string[];
  readonly faults: readonly (readonly [key: string, count: number])[];
  /** Commands of third parties that struck, and codes of errors. */
  readonly others: readonly string[];
}

export interface Coverage {
  add(account: Account): void;
  seen(): Seen;
  /** Adds what was seen elsewhere. */
  absorb(seen: Seen): void;
  report(): CoverageReport;
}

export function createCoverage(operations: readonly Wish['operation'][]): Coverage {
  const states = new Set<string>();
  const transitions = new Set<string>();
  const faults = new Map<string, number>();
  const others = new Set<string>();
  const countFaults = (key: string, count: number) => {
    faults.set(key, (faults.get(key) ?? 0) + count);
  };
  return {
    add(account) {
      const { states: processes, struck } = account;
      const { wish } = account.scenario;
      const machine = machineOf(wish);
      for (const entered of processes) {
        for (const [index, state] of entered.entries()) {
          states.add(`${machine} ${placeOf(state)}`);
          const next = entered[index + 1];
          if (next !== undefined) transitions.add(`${machine} ${wayBetween(placeOf(state), placeOf(next))}`);
        }
      }
      for (const { fault, state } of struck) {
        countFaults(`${placeOf(state)}\n${fault.kind}`, 1);
        if (fault.kind === 'otherClient') others.add(`third party ${fault.execute}`);
      }
      for (const code of codesIn(account)) others.add(`error ${code}`);
    },
    seen: () => ({
      states: [...states],
      transitions: [...transitions],
      faults: [...faults],
      others: [...others],
    }),
    absorb(seen) {
      for (const state of seen.states) states.add(state);
      for (const transition of seen.transitions) transitions.add(transition);
      for (const [key, count] of seen.faults) countFaults(key, count);
      for (const other of seen.others) others.add(other);
    },
    report() {
      const charts = [...new Set(operations.flatMap(operation => MACHINES[operation]))].map(chartOf);
      const counted = [...faults].map(([key, count]) => {
        const [state = '', kind = ''] = key.split('\n');
        return { state, kind, count };
      });
      const harmed = new Set(counted.map(({ state }) => state));
      const entered = new Set([...states].map(state => state.slice(state.indexOf(' ') + 1)));
      const all = new Set([...charts.flatMap(chart => chart.transitions), ...OTHERS]);
      const hit = new Set([...transitions, ...others]);
      return {
        probes: { ...reachedOf(all, hit), hit: [...hit].sort() },
        states: reachedOf(new Set(charts.flatMap(chart => chart.states)), states),
        transitions: reachedOf(new Set(charts.flatMap(chart => chart.transitions)), transitions),
        faults: counted.sort((a, b) => b.count - a.count),
        unharmed: [...entered].filter(state => !harmed.has(state) && !ENDS.has(state)),
      };
    },
  };
}

/** What is to be met besides the charts: each command of a third party, and each code. */
const OTHERS: readonly string[] = [
  ...Object.keys(FOREIGN_COMMANDS).flatMap(name =>
    name.split(', ').map(verb => `third party ${verb.replace(/ (force|image)$/, '')}`),
  ),
  ...ERROR_CODES.map(code => `error ${code}`),
];

/** The codes of all errors that a run has seen: refusals, results, and those of steps. */
function codesIn({ refusal, result, resultAtLast, offline, records }: Account): readonly string[] {
  const errors: readonly unknown[] = [
    ...[refusal, result?.error, resultAtLast?.error, offline?.error],
    ...records.map(({ body }) =>
      typeof body === 'object' && body !== null && 'error' in body ? body['error'] : null,
    ),
  ];
  return errors.flatMap(error => {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
    return typeof code === 'string' ? [code] : [];
  });
}

/** The machines that carry out each operation. */
const MACHINES: Readonly<Record<Wish['operation'], readonly ChartName[]>> = {
  snapshot: ['snapshot'],
  copy: ['copy'],
  pull: ['rewrite'],
  commit: ['rewrite', 'commit'],
  revert: ['revert'],
  snapshotMirror: ['snapshotMirror'],
  commitOffline: [],
};

/** Where no machine runs nothing is asked by it. */
function machineOf(wish: Wish): ChartName {
  if (wish.operation === 'pull' || wish.operation === 'commitOffline') return 'rewrite';
  return wish.operation === 'commit' && wish.top !== 0 ? 'rewrite' : wish.operation;
}

const ENDS: ReadonlySet<string> = new Set(['committed', 'rolledBack', 'needsRecovery']);

function reachedOf(all: ReadonlySet<string>, seen: ReadonlySet<string>): Reached {
  const never = [...all].filter(each => !seen.has(each));
  return { reached: all.size - never.length, total: all.size, never };
}

/** What a saga of some shape may be seen in, and the ways between. */
interface Chart {
  readonly states: readonly string[];
  readonly transitions: readonly string[];
}

const CHARTS = new Map<ChartName, Chart>();

/** Made once: there are hundreds of shapes, and the progress is told every second. */
function chartOf(name: ChartName): Chart {
  const made = CHARTS.get(name) ?? allShapesOf(name);
  CHARTS.set(name, made);
  return made;
}

/** The states of all shapes of a chart, and the ways between them, each once. */
function allShapesOf(name: ChartName): Chart {
  const charts = everyShape(name).map(shape => chartBelow(name, chartOfShape(shape).machine.root));
  return {
    states: [...new Set(charts.flatMap(({ states }) => states))],
    transitions: [...new Set(charts.flatMap(({ transitions }) => transitions))],
  };
}

function chartBelow(name: ChartName, root: AnyStateNode): Chart {
  const leaves = leavesBelow(root).filter(isVisible);
  const named = (node: AnyStateNode) => placeOf(node.path.join('.'));
  return {
    states: leaves.map(node => `${name} ${named(node)}`),
    transitions: leaves.flatMap(from =>
      [...from.transitions.values()]
        .flat()
        .flatMap(({ target }) => target ?? [])
        .flatMap(target => seenAt(target))
        .map(to => `${name} ${wayBetween(named(from), named(to))}`),
    ),
  };
}

/** A rollback takes one route from wherever it begins, and each undo has only two ends. */
function wayBetween(from: string, to: string): string {
  if (from.startsWith('undo ')) return `${from} -> ${to === 'stranded' ? to : 'onward'}`;
  return `${from} -> ${to.startsWith('undo ') || to === 'rolledBack' ? 'compensating' : to}`;
}

function leavesBelow(node: AnyStateNode): readonly AnyStateNode[] {
  const below = Object.values(node.states);
  return below.length === 0 ? [node] : below.flatMap(leavesBelow);
}

/** A state that is left at once is never seen. */
function isVisible(node: AnyStateNode): boolean {
  return node.type === 'final' || node.invoke.length > 0;
}

/** Where a transition may end: in the target, or further along where the target is left at once. */
function seenAt(node: AnyStateNode): readonly AnyStateNode[] {
  const inner = Object.keys(node.states).length === 0 ? [] : node.initial.target;
  if (inner.length > 0) return inner.flatMap(seenAt);
  const onward = (node.always ?? []).flatMap(({ target }) => target ?? []).flatMap(seenAt);
  return isVisible(node) ? [node, ...onward] : onward;
}
