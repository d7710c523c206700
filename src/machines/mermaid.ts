/**
 * Writes a machine as a Mermaid state diagram. Mermaid cannot draw an edge between the insides of two composite states
 * (mermaid.js.org/syntax/stateDiagram.html), so such a transition is drawn between the outermost states that it leaves
 * and enters, and its label says which inner state it comes from. Pure text; knows no operation.
 */
import type { AnyStateMachine, AnyStateNode } from 'xstate';

/** One drawn transition, before those between the same two states are joined. */
interface Edge {
  /** The state whose inside it is drawn in; the machine's root for the outermost. */
  readonly scope: AnyStateNode;
  readonly from: string;
  readonly to: string;
  /** The inner state that it really leaves, when that is not `from` itself. */
  readonly inner: string | null;
  readonly cause: string;
  /** The inner state that it really enters, when that is not `to` itself. */
  readonly deeper: string | null;
}

const SOURCES_MAX = 2;

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
  const edges = nodesBelow(root).flatMap(node => edgesOf(node, root));
  const any = edges.some(edge => edge.from === ANY) ? [`  state "any state" as ${ANY}`] : [];
  return ['---', `title: ${title}`, '---', 'stateDiagram-v2', ...any, ...insideOf(root, edges, '  ')].join(
    '\n',
  );
}

const ANY = 'any';

/** The lines of a composite state's inside: its states, where it begins, its transitions. */
function insideOf(node: AnyStateNode, edges: readonly Edge[], indent: string): readonly string[] {
  const children = Object.values(node.states);
  const initial = node.initial.target[0];
  return [
    ...children.flatMap(child => stateOf(child, edges, indent)),
    ...(initial === undefined ? [] : [`${indent}[*] --> ${idOf(initial)}`]),
    ...joined(edges.filter(edge => edge.scope === node)).map(line => indent + line),
    ...children.filter(child => child.type === 'final').map(child => `${indent}${idOf(child)} --> [*]`),
  ];
}

function stateOf(node: AnyStateNode, edges: readonly Edge[], indent: string): readonly string[] {
  const declared = `${indent}state "${node.key}" as ${idOf(node)}`;
  if (Object.keys(node.states).length === 0) return [declared];
  return [`${declared} {`, ...insideOf(node, edges, `${indent}  `), `${indent}}`];
}

function edgesOf(node: AnyStateNode, root: AnyStateNode): readonly Edge[] {
  const transitions = [...(node.always ?? []), ...[...node.transitions.values()].flat()];
  return transitions.flatMap(transition => {
    const target = transition.target?.[0];
    if (target === undefined) return []; // a signal that only shows in an inspector
    const cause = causeOf(transition);
    if (node === root)
      return [{ scope: root, from: ANY, to: idOf(target), inner: null, cause, deeper: null }];
    const scope = commonAncestor(node, target);
    const from = childOf(scope, node);
    const to = childOf(scope, target);
    const deeper = to === target ? null : target.key;
    return [
      {
        scope,
        from: idOf(from),
        to: idOf(to),
        inner: from === node ? null : node.key,
        ...{ cause, deeper },
      },
    ];
  });
}

/** One line for all edges between the same two states. */
function joined(edges: readonly Edge[]): readonly string[] {
  const pairs = Map.groupBy(edges, edge => `${edge.from} --> ${edge.to}`);
  return [...pairs].map(([pair, same]) => {
    const causes = Map.groupBy(same, edge => edge.cause);
    const labels = [...causes].map(([cause, from]) =>
      [sourcesOf(from), cause + targetOf(from)].filter(Boolean).join(' '),
    );
    const label = labels.filter(Boolean).join(', ');
    return label === '' ? pair : `${pair} : ${label}`;
  });
}

function sourcesOf(edges: readonly Edge[]): string {
  const names = edges.flatMap(edge => edge.inner ?? []);
  return names.length > SOURCES_MAX ? 'a step' : names.join(' or ');
}

/** Said where all lead to the same: a rollback begins with the undo of whatever step it began from. */
function targetOf([first, ...others]: readonly Edge[]): string {
  const isOne = others.every(({ deeper }) => deeper === first?.deeper);
  return first === undefined || first.deeper === null || !isOne ? '' : `, to ${first.deeper}`;
}

function causeOf({ eventType, guard }: { readonly eventType: string; readonly guard?: unknown }): string {
  const cause = eventType.startsWith('xstate.error.')
    ? 'failed'
    : eventType.startsWith('xstate.done.')
      ? 'done'
      : eventType;
  return [cause, guard === undefined ? '' : `[${guardOf(guard)}]`].filter(Boolean).join(' ');
}

/** A guard by its name and its parameters: `strategyIs reopen`. */
function guardOf(guard: unknown): string {
  if (typeof guard !== 'object' || guard === null || !('type' in guard)) return String(guard);
  const params =
    'params' in guard && typeof guard.params === 'object' ? Object.values(guard.params ?? {}) : [];
  return [guard.type, ...params].map(String).join(' ');
}

function nodesBelow(node: AnyStateNode): readonly AnyStateNode[] {
  return [node, ...Object.values(node.states).flatMap(nodesBelow)];
}

function ancestorsOf(node: AnyStateNode): readonly AnyStateNode[] {
  return node.parent === undefined ? [] : [node.parent, ...ancestorsOf(node.parent)];
}

function commonAncestor(one: AnyStateNode, other: AnyStateNode): AnyStateNode {
  const above = ancestorsOf(other);
  const found = ancestorsOf(one).find(each => above.includes(each));
  return found ?? one.machine.root;
}

/** The state directly inside `scope` that is `node` or holds it. */
function childOf(scope: AnyStateNode, node: AnyStateNode): AnyStateNode {
  return [node, ...ancestorsOf(node)].find(each => each.parent === scope) ?? node;
}

function idOf(node: AnyStateNode): string {
  return node.path.join('_').replaceAll(/\W/g, '_');
}
