/**
 * Which hosts there are: one virtual object, keyed "hosts". A host joins with the address of its agent, and its guests are bound to
 * that; it holds no guests itself, as they come and go, and asks the agents.
 */
import * as restate from '@restatedev/restate-sdk';
import { type AgentCall, agentAddress } from './agent-call.ts';
import { DURABLE } from './durable.ts';
import { GUEST, type GuestObject } from './guest-object.ts';
import type { AskStuck, Stuck } from './stuck.ts';

/** What an agent tells of its host. */
export interface HostStatus {
  readonly host: string;
  readonly guests: readonly { readonly vm: string }[];
  readonly sagas: readonly { readonly id: string; readonly vm: string; readonly state: string }[];
}

export interface HostSeen {
  readonly host: string;
  readonly agent: string;
  /** Null where the agent does not answer. */
  readonly status: HostStatus | null;
}

export const FLEET = 'fleet';
/** The key of the one object. */
export const HOSTS = 'hosts';
/** Someone waits for this: an agent that is down is told of soon. */
const LOOK = { initialRetryInterval: 100, maxRetryAttempts: 3 } as const;
/** Each takes three seconds where Restate is silent. */
const LOOK_AT_RESTATE = { initialRetryInterval: 100, maxRetryAttempts: 2 } as const;
/** A host that joins is there. */
const JOIN = { initialRetryInterval: 100, maxRetryDuration: 20_000 } as const;

export type FleetObject = ReturnType<typeof fleetObject>;

export function fleetObject(call: AgentCall, askStuck: AskStuck) {
  const statusOf = (agent: string) => call<HostStatus>(agent, 'GET', '/status');
  return restate.object({
    name: FLEET,
    options: DURABLE,
    handlers: {
      /** By the name that the agent itself gives its host. Its guests are bound to it, also those that were elsewhere before. */
      join: async (ctx: restate.ObjectContext, address: string): Promise<HostStatus> => {
        const agent = agentAddress(address);
        const status = await ctx.run('status', () => statusOf(agent), JOIN);
        const hosts = await hostsOf(ctx);
        ctx.set(HOSTS, { ...hosts, [status.host]: agent });
        for (const { vm } of status.guests)
          ctx.objectSendClient<GuestObject>({ name: GUEST }, vm).bind(agent);
        return status;
      },
      /** Its guests keep their agent: a request for one says that it does not answer. */
      leave: async (ctx: restate.ObjectContext, host: string) => {
        const { [host]: gone, ...rest } = await hostsOf(ctx);
        if (gone === undefined)
          throw new restate.TerminalError(`there is no host "${host}": ${names(rest)}`, { errorCode: 404 });
        ctx.set(HOSTS, rest);
        return { host, agent: gone };
      },
      /** What Restate has paused, or tries again and again: it does not go on by itself, and its guest is not free. */
      stuck: restate.handlers.object.shared(
        async (ctx: restate.ObjectSharedContext): Promise<readonly Stuck[]> =>
          ctx.run('ask Restate', askStuck, LOOK_AT_RESTATE),
      ),
      hosts: restate.handlers.object.shared(
        async (ctx: restate.ObjectSharedContext): Promise<readonly HostSeen[]> => {
          const hosts = Object.entries(await hostsOf(ctx));
          const looks = hosts.map(([host, agent]) =>
            ctx
              .run(`look at ${host}`, () => statusOf(agent), LOOK)
              .map((status, failure) => ({
                host,
                agent,
                status: failure === undefined ? (status ?? null) : null,
              })),
          );
          return restate.RestatePromise.all(looks);
        },
      ),
    },
  });
}

async function hostsOf(ctx: restate.ObjectSharedContext): Promise<Readonly<Record<string, string>>> {
  return (await ctx.get<Readonly<Record<string, string>>>(HOSTS)) ?? {};
}

function names(hosts: object): string {
  return Object.keys(hosts).join(', ') || 'none has joined';
}
