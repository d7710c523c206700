/**
 * The transitions of a chart as they can be drawn: between states that lie side by side. One between the insides of two composite
 * states is lifted to the outermost states that it leaves and enters, and its label says which inner state it comes from. Pure;
 * knows no operation, and takes any chart.
 */
import type { AnyStateMachine, AnyStateNode } from 'xstate';

/** One transition, before those between the same two states are joined. */
export interface ChartEdge {
  /** The state whose inside it is drawn in; the machine's root for the outermost. */
  readonly scope: AnyStateNode;
  /** Null where the root itself has it: it is there in any state. */
  readonly from: AnyStateNode | null;
  readonly to: AnyStateNode;
  /** The inner state that it really leaves, when that is not `from` itself. */
  readonly inner: string | null;
  readonly cause: string;
  /** The inner state that it really enters, when that is not `to` itself. */
  readonly deeper: string | null;
}

const SOURCES_MAX = 2;

export function edgesIn({ root }: AnyStateMachine): readonly ChartEdge[] {
  return nodesBelow(root).flatMap(node => edgesOf(node, root));
}

/** What is written on the one line for all edges between the same two states. */
export function labelOf(same: readonly ChartEdge[]): string {
  const causes = Map.groupBy(same, edge => edge.cause);
  const labels = [...causes].map(([cause, from]) =>
    [sourcesOf(from), cause + targetOf(from)].filter(Boolean).join(' '),
  );
  return labels.filter(Boolean).join(', ');
}

function edgesOf(node: AnyStateNode, root: AnyStateNode): readonly ChartEdge[] {
  const transitions = [...(node.always ?? []), ...[...node.transitions.values()].flat()];
  return transitions.flatMap((transition): readonly ChartEdge[] => {
    const to = transition.target?.[0];
    if (to === undefined) return []; // a signal that only shows in an inspector
    const cause = causeOf(transition);
    if (node === root) return [{ scope: root, from: null, to, inner: null, cause, deeper: null }];
    const scope = commonAncestor(node, to);
    const from = childOf(scope, node);
    const outer = childOf(scope, to);
    const inner = from === node ? null : node.key;
    return [{ scope, from, to: outer, inner, cause, deeper: outer === to ? null : to.key }];
  });
}

function sourcesOf(edges: readonly ChartEdge[]): string {
  const names = edges.flatMap(edge => edge.inner ?? []);
  return names.length > SOURCES_MAX ? 'a step' : names.join(' or ');
}

/** Said where all lead to the same: a rollback begins with the undo of whatever step it began from. */
function targetOf([first, ...others]: readonly ChartEdge[]): string {
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
