/**
 * Reads the line of steps out of a chart: which state follows which when nothing fails, and which undo belongs to which
 * step. It goes by the chart alone and knows no step by its name.
 */
import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { invariant } from '../errors.ts';
import { STRANDED, undoPath } from '../machines/edges.ts';
import { splitKey, UNDO } from '../steps/stages.ts';

/** The state that a snapshot's value names. */
export function leafOf({ root }: AnyStateMachine, value: unknown): AnyStateNode {
  let node = root;
  let rest = value;
  for (;;) {
    const [key, below] =
      typeof rest === 'object' && rest !== null ? (Object.entries(rest)[0] ?? []) : [String(rest), undefined];
    const next = key === undefined ? undefined : node.states[key];
    invariant(next !== undefined, `the chart has a state ${String(key)}`);
    node = next;
    if (below === undefined) return node;
    rest = below;
  }
}

/** The name of the actor that runs in a state; undefined where none does. */
export function actorIn(node: AnyStateNode): string | undefined {
  const src = node.invoke[0]?.src;
  return typeof src === 'string' ? src : undefined;
}

/** What a state is for the picture. A pause that is given up is undone on the line itself, in front of the decision. */
export function kindOf(node: AnyStateNode): 'station' | 'undo' | 'backingOff' | 'end' {
  const actor = actorIn(node);
  if (actor === undefined || node.path[0] === STRANDED[0]) return 'end';
  if (isOnLineBack(node)) return 'undo';
  return actor.startsWith(UNDO) ? 'backingOff' : 'station';
}

/** The stations in order: those that were visited, and those that would follow the last of them. */
export function stationsOf(
  machine: AnyStateMachine,
  visited: readonly AnyStateNode[],
): readonly AnyStateNode[] {
  const line = [...new Set(visited.filter(node => kindOf(node) === 'station'))];
  let node = line.at(-1);
  let next = node === undefined ? firstLeaf(machine.root) : following(node);
  while (next !== undefined && kindOf(next) === 'station' && !line.includes(next)) {
    const isOptional = (next.always?.length ?? 0) > 0;
    if (!isOptional) line.push(next);
    node = next;
    next = following(node);
  }
  return line;
}

/** The undos, in the order in which they would run. */
export function undosOf(machine: AnyStateMachine): readonly AnyStateNode[] {
  return Object.values(machine.root.states)
    .filter(isRoot => isOnLineBack(isRoot))
    .flatMap(leaves);
}

/** The name of the step that an undo undoes. */
export function undoneBy(node: AnyStateNode): string | undefined {
  const actor = actorIn(node);
  return actor?.startsWith(UNDO) ? actor.slice(UNDO.length) : undefined;
}

/** `pauseGuest` as `pause guest`, whichever stage it belongs to. */
export function wordsOf(key: string): string {
  const { step } = splitKey(key);
  const words = step.replace(UNDO, '').replaceAll(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`);
  return words.replace(/\bqemu\b/, 'QEMU');
}

const LINE_BACK = undoPath('pauseGuest', undefined)[0];

function isOnLineBack({ path }: AnyStateNode): boolean {
  return path[0] === LINE_BACK;
}

/** Where a step leads that ends well, when nothing was asked: the last of its transitions has no guard. */
function following(node: AnyStateNode): AnyStateNode | undefined {
  const done = [...node.transitions].find(([event]) => event.startsWith('xstate.done.actor.'))?.[1];
  const target = done?.at(-1)?.target?.[0];
  return target === undefined ? undefined : firstLeaf(target);
}

function firstLeaf(node: AnyStateNode): AnyStateNode {
  const first = node.initial?.target[0];
  return first === undefined ? node : firstLeaf(first);
}

function leaves(node: AnyStateNode): readonly AnyStateNode[] {
  const inside = Object.values(node.states);
  return inside.length === 0 ? [node] : inside.flatMap(leaves);
}
