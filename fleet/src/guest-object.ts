/**
 * A guest as a virtual object of Restate, keyed by its name: operations on its disks run one after the other, and what is asked of
 * the one under way runs beside them. The object hands a request to its host's agent under the saga's id, and looks until it has
 * ended; killed and retried anywhere, it meets the same saga. It copies nothing itself, and no run of it is long.
 */
import * as restate from '@restatedev/restate-sdk';
import { type AgentCall, agentAddress } from './agent-call.ts';
import { DURABLE } from './durable.ts';
import { runFor } from './tried.ts';

/** What the agent of a host tells of a saga. */
export interface Standing {
  readonly state: string;
  /** Whether it waits at READY for a signal. */
  readonly waiting: boolean;
  /** Null until it has ended. */
  readonly result: SagaOutcome | null;
}

/** A saga's result as it is in the journal of its host. */
export interface SagaOutcome {
  readonly saga: string;
  readonly outcome: string;
  readonly blackoutMs?: number | null;
  readonly disks?: readonly {
    readonly disk: string;
    readonly before: { readonly file: string };
    /** Null where it is unplugged. */
    readonly after: { readonly file: string } | null;
  }[];
  readonly error?: { readonly message: string } | null;
  /** What it has left on its host, in words. */
  readonly leftovers?: readonly string[];
}

export interface GuestRequest {
  readonly id?: string;
  readonly [field: string]: unknown;
}

export const GUEST = 'guest';
const AGENT = 'agent';
const SAGA = 'saga';
const FIRST_LOOK_MS = 100;
const LAST_LOOK_MS = 5_000;
const FOLLOW_MS = 30_000;
/**
 * A call that fails is tried again so often that an agent which has come back is met soon, and not for ever: the guest of an agent that
 * falls silent is free for another request 40 seconds later.
 */
const RETRY = {
  initialRetryInterval: 100,
  retryIntervalFactor: 2,
  maxRetryInterval: 2_000,
  maxRetryDuration: 30_000,
} as const;
/**
 * What is aborted may have been looked at in vain before, 40 seconds; the abort takes 20; and where it was answered all the same, the
 * looks behind it another 40. That is less than two minutes.
 */
const RETRY_ABORT = { ...RETRY, maxRetryDuration: 10_000 } as const;
/** The last try of a call that is given up after ten seconds begins at the end of these. */
const SILENT_S = 40;

export type GuestObject = ReturnType<typeof guestObject>;

export function guestObject(call: AgentCall) {
  return restate.object({
    name: GUEST,
    options: DURABLE,
    handlers: {
      /** Where its agent listens; a guest that has moved to another host is bound anew. */
      bind: async (ctx: restate.ObjectContext, agent: string) => ctx.set(AGENT, agentAddress(agent)),
      snapshot: operation(call, 'snapshot'),
      copy: operation(call, 'copy'),
      /** A copy whose guest stays where it is. */
      clone: operation(call, 'copy', { finish: 'clone' }),
      pull: operation(call, 'pull'),
      commit: operation(call, 'commit'),
      revert: operation(call, 'revert'),
      abort: asking(call, 'abort'),
      pivot: asking(call, 'pivot'),
      keepCopies: asking(call, 'keepCopies'),
      keepSnapshot: asking(call, 'keepSnapshot'),
      setSpeed: asking(call, 'setSpeed'),
      status: restate.handlers.object.shared(async (ctx: restate.ObjectSharedContext) => {
        const [agent, saga] = [await ctx.get<string>(AGENT), await ctx.get<string>(SAGA)];
        if (agent === null || saga === null) return { agent, saga: null };
        const look = () => call<Standing>(agent, 'GET', `/sagas/${encodeURIComponent(saga)}`);
        return { agent, saga: await ctx.run('look', () => look().catch(nullIfUnknown), RETRY) };
      }),
      follow: restate.handlers.object.shared(async (ctx: restate.ObjectSharedContext, from?: Followed) => {
        const agent = await agentOf(ctx);
        const id = from?.id ?? (await ctx.get<string>(SAGA));
        if (id === null) throw noSaga(ctx.key);
        return { agent, saga: await nextOf(ctx, call, agent, { ...from, id }) };
      }),
    },
  });
}

/** From where on a saga is followed: the one under way unless said, from any state on. */
interface Followed {
  readonly id?: string;
  readonly state?: string;
  readonly waiting?: boolean;
}

/**
 * What is told of a saga as soon as it is not what the caller knows, or it has ended; otherwise the same again, after half a minute at
 * the least, for the caller to ask on. Between two looks the invocation may be suspended.
 */
async function nextOf(
  ctx: restate.ObjectSharedContext,
  call: AgentCall,
  agent: string,
  { id, state, waiting }: Followed & { readonly id: string },
): Promise<Standing> {
  const look = () => call<Standing>(agent, 'GET', `/sagas/${encodeURIComponent(id)}`).catch(againIfUnknown);
  for (let waitedMs = 0, waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LAST_LOOK_MS)) {
    const told = await ctx.run('follow', look, RETRY);
    const isKnown = told.state === state && (waiting === undefined || told.waiting === waiting);
    if (told.result !== null || !isKnown || waitedMs >= FOLLOW_MS) return told;
    await ctx.sleep(waitMs);
    waitedMs += waitMs;
  }
}

/** Exclusive: one saga of a guest at a time, as its host's journal has it too. `given` is a part of what the operation is. */
function operation(call: AgentCall, name: string, given: object = {}) {
  return async (ctx: restate.ObjectContext, request: GuestRequest): Promise<SagaOutcome> => {
    const agent = await agentOf(ctx);
    const id = request.id ?? ctx.rand.uuidv4();
    ctx.set(SAGA, id);
    try {
      const path = `/guests/${encodeURIComponent(ctx.key)}/${name}`;
      await insist(ctx, agent, id, 'submit', () => call(agent, 'POST', path, { ...request, ...given, id }));
      return await untilEnded(ctx, call, agent, id);
    } catch (error) {
      // The invocation was cancelled, and the saga is not: it is rolled back before the guest is free for another.
      if (error instanceof restate.CancelledError) {
        const path = `/sagas/${encodeURIComponent(id)}/abort`;
        await insist(ctx, agent, id, 'abort', () => call(agent, 'POST', path, {}), RETRY_ABORT);
        await untilEnded(ctx, call, agent, id, 'look behind the abort');
      }
      throw error;
    } finally {
      ctx.clear(SAGA);
    }
  };
}

/** Between two looks the invocation may be suspended: nothing of it waits in a process. */
async function untilEnded(
  ctx: restate.ObjectContext,
  call: AgentCall,
  agent: string,
  id: string,
  what = 'look',
): Promise<SagaOutcome> {
  for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LAST_LOOK_MS)) {
    const look = () => call<Standing>(agent, 'GET', `/sagas/${encodeURIComponent(id)}`);
    const { result } = await insist(ctx, agent, id, what, look);
    if (result !== null) return result;
    await ctx.sleep(waitMs);
  }
}

/** Throws a terminal error 504 for an agent that stays silent: what becomes of the saga, its host's journal knows. */
async function insist<T>(
  ctx: restate.ObjectContext,
  agent: string,
  id: string,
  what: string,
  action: () => Promise<T>,
  retry: typeof RETRY | typeof RETRY_ABORT = RETRY,
): Promise<T> {
  try {
    return await runFor(ctx, what, action, retry);
  } catch (error) {
    if (!(error instanceof restate.TerminalError) || error instanceof restate.CancelledError) throw error;
    if (error.code >= 400 && error.code < 500) throw error;
    const why = `the agent at ${agent} has not answered for ${SILENT_S} s (${error.message}): saga ${id} may have been begun there, and goes on by itself; ask again with the id "${id}", which meets the same saga`;
    throw new restate.TerminalError(why, { errorCode: 504 });
  }
}

/** Beside the saga under way. */
function asking(call: AgentCall, signal: 'abort' | 'pivot' | 'keepCopies' | 'keepSnapshot' | 'setSpeed') {
  return restate.handlers.object.shared(async (ctx: restate.ObjectSharedContext, body?: object) => {
    const [agent, saga] = [await agentOf(ctx), await ctx.get<string>(SAGA)];
    if (saga === null) throw noSaga(ctx.key);
    const path = `/sagas/${encodeURIComponent(saga)}/${signal}`;
    return ctx.run(signal, () => call(agent, 'POST', path, body ?? {}).catch(againIfUnknown), RETRY);
  });
}

function noSaga(guest: string): restate.TerminalError {
  return new restate.TerminalError(`no saga of guest ${guest} is under way`, { errorCode: 409 });
}

/** A saga that is about to be begun is not known to its host yet. */
function isUnknown(error: unknown): error is restate.TerminalError {
  return error instanceof restate.TerminalError && error.code === 404;
}

function nullIfUnknown(error: unknown): null {
  if (isUnknown(error)) return null;
  throw error;
}

function againIfUnknown(error: unknown): never {
  throw isUnknown(error) ? new Error(error.message) : error;
}

async function agentOf(ctx: restate.ObjectSharedContext): Promise<string> {
  const agent = await ctx.get<string>(AGENT);
  if (agent !== null) return agent;
  const why = `it is not known on which host guest ${ctx.key} is: have its host join the fleet, or bind it to its agent`;
  throw new restate.TerminalError(why, { errorCode: 404 });
}
