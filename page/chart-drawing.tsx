/** One chart as it lies, its states lit as inspection events say; and the same as a list for those who do not see it. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { AnyStateMachine } from 'xstate';
import { visible } from '../src/railway/words.ts';
import {
  HEAD,
  LABEL_ROW,
  layoutOf,
  notesOf,
  type PlacedLine,
  type PlacedState,
  ROW,
} from './chart-layout.ts';
import { hasMoved, pathsOf } from './chart-store.ts';

interface Props {
  readonly machine: AnyStateMachine;
  readonly value: unknown;
  readonly seen: ReadonlySet<string>;
  readonly moves: ReadonlySet<string>;
}

/** Smaller than this, and names cannot be read: what is wider still can be pushed. */
const SCALE_MIN = 0.78;

export function ChartDrawing({ machine, value, seen, moves }: Props) {
  const chart = useMemo(() => layoutOf(machine), [machine]);
  const frame = useRef<HTMLElement>(null);
  const [room, setRoom] = useState(1300);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setRoom(Math.round(entry?.contentRect.width ?? 1300)));
    if (frame.current !== null) {
      observer.observe(frame.current);
      frame.current.tabIndex = 0; // what scrolls is reached by keyboard
    }
    return () => observer.disconnect();
  }, []);
  const scale = Math.min(1, Math.max(SCALE_MIN, room / chart.width));
  useEffect(() => {
    const element = frame.current;
    const here = element?.querySelector('.c-here.c-leaf');
    if (element === null || here == null || element.scrollWidth <= element.clientWidth) return;
    const { left, width } = here.getBoundingClientRect();
    element.scrollLeft += left + width / 2 - element.getBoundingClientRect().left - element.clientWidth / 2;
  }, [value, scale]);
  const lit = { here: new Set(pathsOf(value)), seen, moves };
  return (
    <section class="chart" ref={frame} aria-label="The chart; where it is, is said above">
      <svg
        class="railway"
        viewBox={`0 0 ${chart.width} ${chart.height}`}
        width={Math.round(chart.width * scale)}
        height={Math.round(chart.height * scale)}
        aria-hidden="true"
      >
        <defs>
          <marker
            id="chart-head"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            orient="auto"
          >
            <path d="M0 0L8 4L0 8z" class="c-head" />
          </marker>
        </defs>
        <Lines lines={chart.lines} lit={lit} />
        {chart.states.map(state => (
          <State key={state.path} state={state} lit={lit} />
        ))}
      </svg>
    </section>
  );
}

interface Lit {
  readonly here: ReadonlySet<string>;
  readonly seen: ReadonlySet<string>;
  readonly moves: ReadonlySet<string>;
}

function State({ state, lit }: { readonly state: PlacedState; readonly lit: Lit }) {
  const { node, path, x, y, width, height, states, lines } = state;
  const isInside = states.length === 0;
  const reached = lit.here.has(path) ? 'here' : lit.seen.has(path) ? 'seen' : 'ahead';
  const isPaused = node.tags.includes('guestPaused');
  return (
    <g
      class={`c-state c-${isInside ? 'leaf' : 'nest'} c-${reached}${isPaused ? ' c-paused' : ''}`}
      transform={`translate(${Math.round(x)} ${Math.round(y)})`}
    >
      <title>{visible(node.description ?? path)}</title>
      <rect width={width} height={height} rx={isInside ? 8 : 12} />
      {node.type === 'final' ? (
        <rect x={3} y={3} width={width - 6} height={height - 6} rx={6} class="c-inner" />
      ) : null}
      <text x={isInside ? width / 2 : 14} y={20} text-anchor={isInside ? 'middle' : 'start'} class="strong">
        {visible(node.key)}
      </text>
      {isInside
        ? notesOf(node).map((note, at) => (
            <text key={note} x={width / 2} y={HEAD + 8 + at * ROW} text-anchor="middle" class="small muted">
              {visible(note)}
            </text>
          ))
        : null}
      <Lines lines={lines} lit={lit} />
      {states.map(inside => (
        <State key={inside.path} state={inside} lit={lit} />
      ))}
    </g>
  );
}

/** Words over all lines: none goes through them. */
function Lines({ lines, lit }: { readonly lines: readonly PlacedLine[]; readonly lit: Lit }) {
  const classOf = ({ from, to }: PlacedLine) => `c-line${hasMoved(lit.moves, from, to) ? ' c-taken' : ''}`;
  return (
    <>
      {lines.map(line => (
        <g key={`${line.from} ${line.to}`} class={classOf(line)}>
          <title>{visible(line.whole)}</title>
          <path d={curve(line.points)} marker-end="url(#chart-head)" />
        </g>
      ))}
      {lines.map(line => (
        <g key={`words ${line.from} ${line.to}`} class={classOf(line)}>
          <title>{visible(line.whole)}</title>
          {line.label.map((words, at) => (
            <text
              key={words}
              x={Math.round(line.x)}
              y={Math.round(line.y + 4 + (at - (line.label.length - 1) / 2) * LABEL_ROW)}
              text-anchor="middle"
              class="small"
            >
              {visible(words)}
            </text>
          ))}
        </g>
      ))}
    </>
  );
}

/** Through the points that the layout gives, rounded at each. */
function curve(points: PlacedLine['points']): string {
  const [first, ...rest] = points;
  if (first === undefined) return '';
  const middle = rest.slice(0, -1).map((point, at) => {
    const next = rest[at + 1] ?? point;
    const end = at === rest.length - 2 ? next : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    return `Q${round(point.x)} ${round(point.y)} ${round(end.x)} ${round(end.y)}`;
  });
  const last = rest.length === 1 ? `L${round(rest[0]?.x ?? 0)} ${round(rest[0]?.y ?? 0)}` : '';
  return `M${round(first.x)} ${round(first.y)}${middle.join('')}${last}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
