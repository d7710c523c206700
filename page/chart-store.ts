/** Inspection events as they arrive, gathered by actor: its chart, where it is, what it was sent. Nothing else is asked of anybody. */
import { useEffect, useState } from 'preact/hooks';
import type { AnyStateMachine } from 'xstate';
import { createMachine } from 'xstate';
import type { ChartEvent } from '../src/inspect/chart-events.ts';

/** Of one actor; older ones are let go of. */
const EVENTS_MAX = 300;

export interface Actor {
  readonly sessionId: string;
  readonly name: string;
  readonly parentId: string | null;
  /** Null of an actor that has no chart, such as the one of a step. */
  readonly machine: AnyStateMachine | null;
  readonly status: string;
  /** The state's value as XState has it; null of an actor without a chart. */
  readonly value: unknown;
  readonly context: unknown;
  readonly events: readonly Heard[];
  /** The paths of all states that it was in. */
  readonly seen: ReadonlySet<string>;
  /** The innermost states from and to which it has moved, as {@link moveOf} writes it. */
  readonly moves: ReadonlySet<string>;
}

interface Heard {
  readonly at: number;
  readonly type: string;
  readonly event: unknown;
  readonly from: string | null;
}

export type Actors = ReadonlyMap<string, Actor>;

/** Listens for as long as it is shown; drawn at most once per frame. */
export function useActors(): { readonly actors: Actors; readonly isUp: boolean } {
  const [actors, setActors] = useState<Actors>(new Map());
  const [isUp, setUp] = useState(true);
  useEffect(() => {
    let waiting: ChartEvent[] = [];
    let frame = 0;
    const source = new EventSource('charts');
    source.addEventListener('chart', ({ data }) => {
      const events: readonly ChartEvent[] = JSON.parse(data);
      waiting.push(...events);
      if (frame !== 0) return;
      frame = requestAnimationFrame(() => {
        frame = 0;
        const now = waiting;
        waiting = [];
        setActors(before => now.reduce(heard, before));
      });
    });
    source.addEventListener('open', () => {
      setActors(new Map());
      setUp(true);
    });
    source.addEventListener('error', () => setUp(false));
    return () => {
      source.close();
      cancelAnimationFrame(frame);
    };
  }, []);
  return { actors, isUp };
}

function heard(actors: Actors, event: ChartEvent): Actors {
  const next = new Map(actors);
  const before = next.get(event.sessionId);
  if (event.type === '@xstate.actor') {
    next.set(event.sessionId, actorOf(event, before));
  } else if (before !== undefined && event.type === '@xstate.event') {
    const from = event.sourceId === undefined ? null : (next.get(event.sourceId)?.name ?? null);
    const one = { at: Number(event.createdAt), type: event.event.type, event: event.event, from };
    next.set(event.sessionId, { ...before, events: [...before.events, one].slice(-EVENTS_MAX) });
  } else if (before !== undefined && event.type === '@xstate.snapshot') {
    next.set(event.sessionId, { ...before, ...toldBy(event.snapshot, before) });
  }
  return next;
}

function actorOf(
  { sessionId, name, parentId, definition, snapshot }: Extract<ChartEvent, { type: '@xstate.actor' }>,
  before: Actor | undefined,
): Actor {
  const none = { value: null, seen: new Set<string>(), moves: new Set<string>() };
  return {
    ...{ sessionId, name, parentId: parentId ?? null, events: before?.events ?? [] },
    machine: machineOf(definition),
    ...toldBy(snapshot, before ?? none),
  };
}

function toldBy(snapshot: unknown, before: Pick<Actor, 'value' | 'seen' | 'moves'>) {
  const {
    status,
    value = null,
    context = null,
  } = typeof snapshot === 'object' && snapshot !== null ? (snapshot as Record<string, unknown>) : {};
  const moves = leavesOf(before.value).flatMap(from => leavesOf(value).map(to => moveOf(from, to)));
  return {
    status: typeof status === 'string' ? status : 'active',
    value,
    context,
    seen: new Set([...before.seen, ...pathsOf(value)]),
    moves: new Set([...before.moves, ...moves]),
  };
}

function moveOf(from: string, to: string): string {
  return `${from}>${to}`;
}

/** Whether it has moved from inside the one state to inside the other. */
export function hasMoved(moves: ReadonlySet<string>, from: string, to: string): boolean {
  const isIn = (leaf: string | undefined, path: string) => leaf === path || leaf?.startsWith(`${path}.`);
  return [...moves].some(move => {
    const [left, entered] = move.split('>');
    return isIn(left, from) && isIn(entered, to);
  });
}

/** The innermost states that a value names. */
export function leavesOf(value: unknown): readonly string[] {
  const paths = pathsOf(value);
  return paths.filter(path => !paths.some(other => other.startsWith(`${path}.`)));
}

/** Every state that a value names, from the outermost to the innermost. */
export function pathsOf(value: unknown, above = ''): readonly string[] {
  if (typeof value === 'string') return [above === '' ? value : `${above}.${value}`];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inside]) => {
    const path = above === '' ? key : `${above}.${key}`;
    return [path, ...pathsOf(inside, path)];
  });
}

/** Read as a chart, never run: its actions, guards and actors are names only. What is no chart is drawn as none. */
function machineOf(definition: string | undefined): AnyStateMachine | null {
  if (definition === undefined) return null;
  try {
    const config = JSON.parse(definition);
    return typeof config?.states === 'object' ? createMachine(config) : null;
  } catch {
    return null; // the actor is listed all the same
  }
}
