/** Inspection events as XState's inspector sends them (@statelyai/inspect), and as the page draws charts of. Types; also for browsers. */

interface Told {
  /** Of the actor; another one in each process. */
  readonly sessionId: string;
  /** Milliseconds since the epoch, as text. */
  readonly createdAt: string;
  readonly rootId?: string | undefined;
}

interface ActorTold extends Told {
  readonly type: '@xstate.actor';
  readonly name: string;
  readonly parentId?: string | undefined;
  /** The config of its machine as JSON; that of no machine has no states. */
  readonly definition?: string | undefined;
  readonly snapshot?: unknown;
}

interface EventTold extends Told {
  readonly type: '@xstate.event';
  readonly sourceId?: string | undefined;
  readonly event: { readonly type: string };
}

interface SnapshotTold extends Told {
  readonly type: '@xstate.snapshot';
  readonly snapshot: unknown;
  readonly event?: unknown;
}

export type ChartEvent = ActorTold | EventTold | SnapshotTold;
