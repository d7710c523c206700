/**
 * What inspectors have sent, within a bound: every actor with its chart and where it is last, of the events and snapshots the newest.
 * What comes from elsewhere is checked, and what is no inspection event is not taken.
 */
import { z } from 'zod';
import type { ChartEvent } from './chart-events.ts';

const REMEMBERED_MAX = 4_000;
const ACTORS_MAX = 500;

const told = { sessionId: z.string().max(200), createdAt: z.string().max(40), rootId: z.string().optional() };

const chartEvent = z.discriminatedUnion('type', [
  z.object({
    ...{ type: z.literal('@xstate.actor'), ...told, name: z.string().max(500) },
    ...{
      parentId: z.string().optional(),
      definition: z.string().optional(),
      snapshot: z.unknown().optional(),
    },
  }),
  z.object({
    ...{ type: z.literal('@xstate.event'), ...told, sourceId: z.string().optional() },
    event: z.looseObject({ type: z.string() }),
  }),
  z.object({
    ...{ type: z.literal('@xstate.snapshot'), ...told, snapshot: z.unknown(), event: z.unknown().optional() },
  }),
]);

export class ChartLog {
  readonly #actors = new Map<string, ChartEvent>();
  /** Of actors whose own have all been let go of below. */
  readonly #last = new Map<string, ChartEvent>();
  readonly #events: ChartEvent[] = [];
  readonly #listeners = new Set<(event: ChartEvent) => void>();

  /** From another process: one event as JSON. What is none is dropped. */
  addText(text: string): void {
    const read = chartEvent.safeParse(parsed(text));
    if (read.success) this.add(read.data);
  }

  add(event: ChartEvent): void {
    const { sessionId } = event;
    if (event.type === '@xstate.actor') {
      this.#actors.set(sessionId, event);
      const [oldest] = this.#actors.keys();
      if (this.#actors.size > ACTORS_MAX && oldest !== undefined) this.#forget(oldest);
    } else {
      this.#events.push(event);
      const oldest = this.#events.length > REMEMBERED_MAX ? this.#events.shift() : undefined;
      if (oldest?.type === '@xstate.snapshot' && this.#actors.has(oldest.sessionId))
        this.#last.set(oldest.sessionId, oldest);
    }
    for (const listener of this.#listeners) listener(event);
  }

  /** All that is remembered, in an order that can be drawn: the actors first, then where each was and is. */
  remembered(): readonly ChartEvent[] {
    return [...this.#actors.values(), ...this.#last.values(), ...this.#events];
  }

  subscribe(listener: (event: ChartEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #forget(sessionId: string): void {
    this.#actors.delete(sessionId);
    this.#last.delete(sessionId);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // it is no event then, and is not taken
  }
}
