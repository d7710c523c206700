/**
 * A guest as a virtual object of Restate, keyed by its name: operations on its disks run one after the other, and what is asked of
 * the one under way runs beside them. The object hands a request to its host's agent under the saga's id, and looks until it has
 * ended; killed and retried anywhere, it meets the same saga. It copies nothing itself, and no run of it is long.
 */
import * as restate from '@restatedev/restate-sdk';
import { type AgentCall, agentAddress } from './agent-call.ts';

/** What the agent of a host tells of a saga. */
interface Standing {
  readonly state: string;
  /** Null until it has ended. */
  readonly result: SagaOutcome | null;
}

/** A saga's result as it is in the journal of its host. */
interface SagaOutcome {
  readonly saga: string;
  readonly outcome: string;
}

interface Request {
  readonly id?: string;
  readonly [field: string]: unknown;
}

const AGENT = 'agent';
const SAGA = 'saga';
const FIRST_LOOK_MS = 100;
const LAST_LOOK_MS = 5_000;
/** A run that fails is tried again so often that an agent which has come back is met soon. */
const RETRY = { initialRetryInterval: 100, retryIntervalFactor: 2, maxRetryInterval: 2_000 } as const;

export function guestObject(call: AgentCall) {
  return restate.object({
    name: 'guest',
    handlers: {
      /** Where its agent listens; a guest that has moved to another host is bound anew. */
      bind: async (ctx: restate.ObjectContext, agent: string) => ctx.set(AGENT, agentAddress(agent)),
      snapshot: operation(call, 'snapshot'),
      copy: operation(call, 'copy'),
      pull: operation(call, 'pull'),
      commit: operation(call, 'commit'),
      revert: operation(call, 'revert'),
      abort: asking(call, 'abort'),
      pivot: asking(call, 'pivot'),
      status: restate.handlers.object.shared(async (ctx: restate.ObjectSharedContext) => {
        const [agent, saga] = [await ctx.get<string>(AGENT), await ctx.get<string>(SAGA)];
        if (agent === null || saga === null) return { agent, saga: null };
        const look = () => call(agent, 'GET', `/sagas/${encodeURIComponent(saga)}`);
        return { agent, saga: await ctx.run('look', look, RETRY) };
      }),
    },
  });
}

/** Exclusive: one saga of a guest at a time, as its host's journal has it too. */
function operation(call: AgentCall, name: string) {
  return async (ctx: restate.ObjectContext, request: Request): Promise<SagaOutcome> => {
    const agent = await agentOf(ctx);
    const id = request.id ?? ctx.rand.uuidv4();
    ctx.set(SAGA, id);
    try {
      const path = `/guests/${encodeURIComponent(ctx.key)}/${name}`;
      await ctx.run('submit', () => call(agent, 'POST', path, { ...request, id }), RETRY);
      return await untilEnded(ctx, call, agent, id);
    } catch (error) {
      // The invocation was cancelled, and the saga is not: it is rolled back before the guest is free for another.
      if (error instanceof restate.CancelledError) {
        const path = `/sagas/${encodeURIComponent(id)}/abort`;
        await ctx.run('abort', () => call(agent, 'POST', path, {}), RETRY);
        await untilEnded(ctx, call, agent, id);
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
): Promise<SagaOutcome> {
  for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LAST_LOOK_MS)) {
    const look = () => call<Standing>(agent, 'GET', `/sagas/${encodeURIComponent(id)}`);
    const { result } = await ctx.run('look', look, RETRY);
    if (result !== null) return result;
    await ctx.sleep(waitMs);
  }
}

/** Beside the saga under way. */
function asking(call: AgentCall, signal: 'abort' | 'pivot') {
  return restate.handlers.object.shared(async (ctx: restate.ObjectSharedContext) => {
    const [agent, saga] = [await agentOf(ctx), await ctx.get<string>(SAGA)];
    if (saga === null)
      throw new restate.TerminalError(`no saga of guest ${ctx.key} is under way`, { errorCode: 409 });
    return ctx.run(
      signal,
      () => call(agent, 'POST', `/sagas/${encodeURIComponent(saga)}/${signal}`, {}),
      RETRY,
    );
  });
}

async function agentOf(ctx: restate.ObjectSharedContext): Promise<string> {
  const agent = await ctx.get<string>(AGENT);
  if (agent !== null) return agent;
  const why = `it is not known on which host guest ${ctx.key} is: bind it to its agent first`;
  throw new restate.TerminalError(why, { errorCode: 404 });
}
