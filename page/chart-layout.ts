/**
 * Lays out a nested chart: the inside of each composite state by itself, from the innermost outwards, with dagre for what lies side by
 * side. Transitions are those between neighbours (src/machines/chart-edges.ts), so that no line crosses a border. Pure.
 */
import dagre from '@dagrejs/dagre';
import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { type ChartEdge, edgesIn, labelOf } from '../src/machines/chart-edges.ts';

export interface PlacedState {
  readonly node: AnyStateNode;
  readonly path: string;
  /** Of its upper left corner, from that of what holds it. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly states: readonly PlacedState[];
  readonly lines: readonly PlacedLine[];
}

export interface PlacedLine {
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /** In lines, cut where it is longer than these. */
  readonly label: readonly string[];
  /** The label in full. */
  readonly whole: string;
  /** The middle of its label. */
  readonly x: number;
  readonly y: number;
  readonly from: string;
  readonly to: string;
}

const LETTER = 7.1;
const SMALL_LETTER = 5.9;
export const HEAD = 30;
export const ROW = 15;
const PAD = 14;
/** Letters of a line of a label, and lines. */
const LABEL_MAX = 17;
const LABEL_LINES = 2;
export const LABEL_ROW = 13;
const NOTE_MAX = 34;

/** The whole chart; its root has no frame of its own. */
export function layoutOf(machine: AnyStateMachine): PlacedState {
  return placed(machine.root, edgesIn(machine), 0);
}

/** What is written in a state below its name. */
export function notesOf(node: AnyStateNode): readonly string[] {
  const invoked = node.invoke.map(({ src }) => `runs ${typeof src === 'string' ? src : 'an actor'}`);
  const stays = [...node.transitions.values()]
    .flat()
    .filter(({ target, eventType }) => target === undefined && !eventType.startsWith('xstate.'))
    .map(({ eventType }) => `hears ${eventType}`);
  return [...invoked, ...new Set(stays)].slice(0, 4).map(note => shortened(note, NOTE_MAX));
}

function placed(node: AnyStateNode, edges: readonly ChartEdge[], depth: number): PlacedState {
  const children = Object.values(node.states).map(child => placed(child, edges, depth + 1));
  const path = node.path.join('.');
  if (children.length === 0) {
    const notes = notesOf(node);
    const wide = Math.max(node.key.length * LETTER, ...notes.map(note => note.length * SMALL_LETTER));
    const height = HEAD + notes.length * ROW + (notes.length > 0 ? 6 : 0);
    return { node, path, x: 0, y: 0, width: Math.max(70, wide + 28), height, states: [], lines: [] };
  }
  const inside = arranged(
    node,
    children,
    edges.filter(({ scope }) => scope === node),
    depth,
  );
  const head = node.key.length * LETTER + 60;
  const top = depth === 0 ? 0 : HEAD;
  return {
    ...{ node, path, x: 0, y: 0 },
    width: Math.max(inside.width + 2 * PAD, head),
    height: inside.height + top + PAD + (depth === 0 ? PAD : 6),
    states: inside.states.map(state => ({ ...state, x: state.x + PAD, y: state.y + top + 6 })),
    lines: inside.lines.map(line => moved(line, PAD, top + 6)),
  };
}

function arranged(
  node: AnyStateNode,
  children: readonly PlacedState[],
  edges: readonly ChartEdge[],
  depth: number,
) {
  const graph = new dagre.graphlib.Graph({ multigraph: false, compound: false });
  const isDeep = children.some(({ states }) => states.length > 0);
  graph.setGraph({
    rankdir: depth === 0 && isDeep ? 'LR' : 'TB',
    nodesep: 26,
    ranksep: isDeep ? 22 : 30,
    edgesep: 14,
  });
  for (const { path, width, height } of children) graph.setNode(path, { width, height });
  const pairs = Map.groupBy(
    edges.filter(({ from, to }) => from !== null && from !== to),
    ({ from, to }) => JSON.stringify([from?.path.join('.'), to.path.join('.')]),
  );
  for (const [key, same] of pairs) {
    const [from, to]: readonly string[] = JSON.parse(key);
    if (from === undefined || to === undefined) continue;
    const whole = labelOf(same);
    const lines = broken(whole);
    graph.setEdge(from, to, {
      lines,
      whole,
      width: Math.max(...lines.map(line => line.length)) * SMALL_LETTER + 8,
      height: lines.length * LABEL_ROW + 2,
      labelpos: 'c',
    });
  }
  dagre.layout(graph);
  const states = children.map((child): PlacedState => {
    const { x, y } = graph.node(child.path);
    return { ...child, x: x - child.width / 2, y: y - child.height / 2 };
  });
  const lines = graph.edges().map((edge): PlacedLine => {
    const { points = [], lines, whole, x, y } = graph.edge(edge);
    return {
      points,
      label: Array.isArray(lines) ? lines.map(String) : [],
      whole: String(whole ?? ''),
      x: x ?? 0,
      y: y ?? 0,
      from: edge.v,
      to: edge.w,
    };
  });
  const right = Math.max(
    0,
    ...states.map(({ x, width }) => x + width),
    ...lines.flatMap(({ points }) => points.map(({ x }) => x)),
  );
  const bottom = Math.max(
    0,
    ...states.map(({ y, height }) => y + height),
    ...lines.flatMap(({ points }) => points.map(({ y }) => y)),
  );
  return { states, lines, width: right, height: bottom, node };
}

function moved(line: PlacedLine, dx: number, dy: number): PlacedLine {
  const points = line.points.map(({ x, y }) => ({ x: x + dx, y: y + dy }));
  return { ...line, points, x: line.x + dx, y: line.y + dy };
}

/** Between words, or in the middle of one that is too long. */
function broken(text: string): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    const joined = last === undefined ? word : `${last} ${word}`;
    if (last !== undefined && joined.length <= LABEL_MAX) lines.splice(-1, 1, joined);
    else lines.push(shortened(word, LABEL_MAX));
  }
  if (lines.length <= LABEL_LINES) return lines;
  const last = lines[LABEL_LINES - 1] ?? '';
  return [...lines.slice(0, LABEL_LINES - 1), shortened(`${last} …`, LABEL_MAX)];
}

function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
