/**
 * XState's own inspection events in the form in which its inspector sends them (@statelyai/inspect 0.7), so that our page and
 * Stately's take the same. The plan, which never changes and would be most of what is sent, is left out. Pure.
 */
import type { InspectionEvent } from 'xstate';
import type { ChartEvent } from './chart-events.ts';

/** What Stately's page asks events for. */
const VERSION = '0.7.2';
const DEPTH_MAX = 10;

/** Undefined for kinds that no inspector shows. */
export function chartEventOf(event: InspectionEvent, atMs: number): ChartEvent | undefined {
  const { actorRef, rootId } = event;
  const told = {
    sessionId: sessionOf(actorRef),
    createdAt: String(atMs),
    rootId,
    id: null,
    _version: VERSION,
  };
  switch (event.type) {
    case '@xstate.actor':
      return {
        ...{ type: event.type, ...told, name: nameOf(actorRef), parentId: parentOf(actorRef) },
        ...{ definition: JSON.stringify(plain(configOf(actorRef))), snapshot: plain(snapshotOf(actorRef)) },
      };
    case '@xstate.event':
      return {
        ...{ type: event.type, ...told, event: plainEvent(event.event) },
        sourceId: event.sourceRef === undefined ? undefined : sessionOf(event.sourceRef),
      };
    case '@xstate.snapshot':
      return { type: event.type, ...told, snapshot: plain(event.snapshot), event: plainEvent(event.event) };
    default:
      return undefined;
  }
}

function plainEvent(event: { readonly type: string }): { readonly type: string } {
  return { ...(plain(event) as object), type: event.type };
}

function sessionOf({ sessionId }: { readonly sessionId: string }): string {
  return sessionId;
}

/** A root that was given no id of its own is called as its machine is. */
function nameOf(actor: { readonly sessionId: string }): string {
  const own = 'id' in actor ? String(actor.id) : actor.sessionId;
  const { id } = configOf(actor);
  return own === actor.sessionId && typeof id === 'string' ? id : own;
}

function configOf(actor: object): { readonly id: unknown } {
  const logic: unknown = 'logic' in actor ? actor.logic : undefined;
  const config = typeof logic === 'object' && logic !== null && 'config' in logic ? logic.config : undefined;
  if (typeof config === 'object' && config !== null && 'states' in config)
    return { id: undefined, ...config };
  return { id: 'id' in actor ? actor.id : undefined };
}

function parentOf(actor: object): string | undefined {
  const parent: unknown = '_parent' in actor ? actor._parent : undefined;
  const isActor = typeof parent === 'object' && parent !== null && 'sessionId' in parent;
  return isActor ? String(parent.sessionId) : undefined;
}

/** While an actor begins, it has none that could be asked for. */
function snapshotOf(actor: object): unknown {
  return '_snapshot' in actor ? actor._snapshot : undefined;
}

/** As JSON has it: no functions, no plan, no deeper than anybody reads, and no circle. */
function plain(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function') return { type: value.name };
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return { name: value.name, message: value.message };
  if (depth > DEPTH_MAX) return '…';
  if (Array.isArray(value)) return value.map(each => plain(each, depth + 1));
  if (value instanceof Set) return [...value].map(each => plain(each, depth + 1));
  const own = 'toJSON' in value && typeof value.toJSON === 'function' ? value.toJSON() : value;
  if (own !== value) return plain(own, depth + 1);
  return Object.fromEntries(
    Object.entries(own as object).flatMap(([key, each]) =>
      key === 'plan' ? [] : [[key, plain(each, depth + 1)] as const],
    ),
  );
}
