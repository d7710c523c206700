/**
 * Writes a machine as a Mermaid state diagram. Mermaid cannot draw an edge between the insides of two composite states
 * (mermaid.js.org/syntax/stateDiagram.html), so such a transition is drawn between the outermost states that it leaves
 * and enters, and its label says which inner state it comes from. Pure text; knows no operation.
 */
import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { type ChartEdge, edgesIn, labelOf } from './chart-edges.ts';

/**
 * The machine as the text of a `stateDiagram-v2`.
 *
 * @example
 * ```ts
 * console.log(mermaidOf('block-job', blockJobMachine).includes('any --> ready : job.ready')); // true
 * ```
 */
export function mermaidOf(title: string, machine: AnyStateMachine): string {
  const { root } = machine;
  const edges = edgesIn(machine);
  const any = edges.some(edge => edge.from === null) ? [`  state "any state" as ${ANY}`] : [];
  return ['---', `title: ${title}`, '---', 'stateDiagram-v2', ...any, ...insideOf(root, edges, '  ')].join(
    '\n',
  );
}

const ANY = 'any';

/** The lines of a composite state's inside: its states, where it begins, its transitions. */
function insideOf(node: AnyStateNode, edges: readonly ChartEdge[], indent: string): readonly string[] {
  const children = Object.values(node.states);
  const initial = node.initial.target[0];
  return [
    ...children.flatMap(child => stateOf(child, edges, indent)),
    ...(initial === undefined ? [] : [`${indent}[*] --> ${idOf(initial)}`]),
    ...joined(edges.filter(edge => edge.scope === node)).map(line => indent + line),
    ...children.filter(child => child.type === 'final').map(child => `${indent}${idOf(child)} --> [*]`),
  ];
}

function stateOf(node: AnyStateNode, edges: readonly ChartEdge[], indent: string): readonly string[] {
  const declared = `${indent}state "${node.key}" as ${idOf(node)}`;
  if (Object.keys(node.states).length === 0) return [declared];
  return [`${declared} {`, ...insideOf(node, edges, `${indent}  `), `${indent}}`];
}

/** One line for all edges between the same two states. */
function joined(edges: readonly ChartEdge[]): readonly string[] {
  const nameOf = (node: AnyStateNode | null) => (node === null ? ANY : idOf(node));
  const pairs = Map.groupBy(edges, ({ from, to }) => `${nameOf(from)} --> ${idOf(to)}`);
  return [...pairs].map(([pair, same]) => {
    const label = labelOf(same);
    return label === '' ? pair : `${pair} : ${label}`;
  });
}

function idOf(node: AnyStateNode): string {
  return node.path.join('_').replaceAll(/\W/g, '_');
}
