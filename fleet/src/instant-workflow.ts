/**
 * Snapshots or clones of several guests at one instant, as a workflow that is keyed by its id. The agents of their hosts take it among themselves:
 * that of the first guest leads, and each is given its part until all have it. Nothing of Restate lies in the pause, nor decides
 * anything: it hands out the parts and looks until all have ended.
 */
import * as restate from '@restatedev/restate-sdk';
import { z } from 'zod';
import type { AgentCall } from './agent-call.ts';
import { DURABLE } from './durable.ts';
import { FLEET, type FleetObject, HOSTS } from './fleet-object.ts';
import type { Standing } from './guest-object.ts';
import { runFor } from './tried.ts';

const memberRequest = z.looseObject({
  vm: z.string().min(1),
  disks: z.array(z.looseObject({ disk: z.string() })).min(1),
});

const instantRequest = z.strictObject({ members: z.array(memberRequest).min(1).max(64) });

type MemberRequest = z.infer<typeof memberRequest>;

export const INSTANT = 'instant';
const FIRST_LOOK_MS = 100;
const LAST_LOOK_MS = 2_000;
/** Clones copy for hours, and each look is kept. */
const LAST_LOOK_AT_CLONES_MS = 30_000;
const CALL = { initialRetryInterval: 100, maxRetryDuration: 40_000 } as const;
/** It is looked again anyway. */
const LOOK = { initialRetryInterval: 100, maxRetryAttempts: 3 } as const;

export type InstantWorkflow = ReturnType<typeof instantWorkflow>;

/** The guests of one host, and where its agent listens. */
interface Part {
  readonly host: string;
  readonly agent: string;
  readonly members: readonly MemberRequest[];
}

/** What one agent tells of its part. */
interface PartStanding extends Standing {
  readonly members?: readonly {
    readonly id: string;
    readonly vm: string;
    readonly state: string;
    /** What its saga has left on that host; not there where that is nothing. */
    readonly leftovers?: readonly string[];
  }[];
}

export function instantWorkflow(call: AgentCall) {
  return restate.workflow({
    name: INSTANT,
    options: DURABLE,
    handlers: {
      run: async (ctx: restate.WorkflowContext, given: unknown): Promise<PartStanding> => {
        const read = instantRequest.safeParse(given);
        if (!read.success) {
          const why = z.prettifyError(read.error).replaceAll('\n', ' ');
          throw new restate.TerminalError(`this is no group: ${why}`, { errorCode: 400 });
        }
        const parts = await partsOf(ctx, read.data.members);
        await submit(ctx, call, parts);
        const isCloned = read.data.members.some(({ finish }) => finish === 'clone');
        const lastMs = isCloned ? LAST_LOOK_AT_CLONES_MS : LAST_LOOK_MS;
        for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, lastMs)) {
          const standings = await look(ctx, call, parts);
          if (standings !== undefined) return inOne(standings);
          await ctx.sleep(waitMs);
        }
      },
    },
  });
}

/** To all at once: each waits for the others before it touches anything. Throws what the first of them was refused with. */
async function submit(ctx: restate.WorkflowContext, call: AgentCall, parts: readonly Part[]): Promise<void> {
  const [leader, ...others] = parts;
  const path = `/groups/${encodeURIComponent(ctx.key)}`;
  const submissions = parts.map(({ host, agent, members }) => {
    const isLeader = agent === leader?.agent;
    const across = isLeader
      ? { with: others.map(other => other.host) }
      : { leader: { host: leader?.host, agent: leader?.agent } };
    const body = parts.length === 1 ? { members } : { members, ...across };
    return runFor(ctx, `submit to ${host}`, () => call(agent, 'POST', path, body), CALL);
  });
  const submitted = await restate.RestatePromise.allSettled(submissions);
  const refused = submitted.flatMap(each => (each.status === 'rejected' ? [each.reason as Error] : []));
  // A refusal says more than the silence of a host which has waited for that one.
  const [first] = [...refused].sort((one, other) => codeOf(one) - codeOf(other));
  if (first === undefined) return;
  throw codeOf(first) < 500 ? first : givenUp(first);
}

/** The id is used up with it: a workflow runs once. */
function givenUp({ message }: Error): restate.TerminalError {
  const why = `${message}: given up after ${CALL.maxRetryDuration / 1000} s; a part of the group that has begun takes itself back where the others do not come; an agent whose answer was lost may have its part all the same, and the snapshots or copies are there then: look at the guests, then ask again with another id`;
  return new restate.TerminalError(why, { errorCode: 500 });
}

function codeOf(error: Error): number {
  return error instanceof restate.TerminalError ? error.code : 599;
}

/** Undefined until all have ended. An agent that does not answer is asked again: its part ends when it is back. */
async function look(
  ctx: restate.WorkflowContext,
  call: AgentCall,
  parts: readonly Part[],
): Promise<readonly PartStanding[] | undefined> {
  const path = `/sagas/${encodeURIComponent(ctx.key)}`;
  const looks = parts.map(({ host, agent }) =>
    ctx.run(`look at ${host}`, () => call<PartStanding>(agent, 'GET', path), LOOK),
  );
  const looked = await restate.RestatePromise.allSettled(looks);
  const cancelled = looked.find(
    each => each.status === 'rejected' && each.reason instanceof restate.CancelledError,
  );
  if (cancelled?.status === 'rejected') throw cancelled.reason;
  const ended = looked.flatMap(each =>
    each.status === 'fulfilled' && each.value.result !== null ? [each.value] : [],
  );
  return ended.length === parts.length ? ended : undefined;
}

/** The leader's first, with the members of all. */
function inOne([leader, ...others]: readonly PartStanding[]): PartStanding {
  if (leader === undefined) throw new restate.TerminalError('a group has a host');
  const all = [leader, ...others];
  const state = all.every(each => each.state === leader.state) ? leader.state : 'needsRecovery';
  return { ...leader, state, members: all.flatMap(({ members = [] }) => members) };
}

/** The guests by their hosts, that of the first guest first. */
async function partsOf(
  ctx: restate.WorkflowContext,
  members: readonly MemberRequest[],
): Promise<readonly Part[]> {
  const hosts = await ctx.objectClient<FleetObject>({ name: FLEET }, HOSTS).hosts();
  const parts = new Map<string, Part>();
  for (const [at, member] of members.entries()) {
    const [home, other] = hosts.filter(({ status }) => status?.guests.some(({ vm }) => vm === member.vm));
    if (home === undefined)
      throw new restate.TerminalError(`no host that answers has guest ${member.vm}`, { errorCode: 404 });
    if (other !== undefined) {
      const why = `hosts ${home.host} and ${other.host} both have a guest ${member.vm}`;
      throw new restate.TerminalError(why, { errorCode: 409 });
    }
    const { host, agent } = home;
    const before = parts.get(host)?.members ?? [];
    parts.set(host, { host, agent, members: [...before, { ...member, id: `${ctx.key}.${at}` }] });
  }
  return [...parts.values()];
}
