/**
 * A snapshot of several guests at one instant, as a workflow that is keyed by its id: all of them are on one host, whose agent takes
 * it as a group. Nothing of Restate lies in the pause.
 */
import * as restate from '@restatedev/restate-sdk';
import { z } from 'zod';
import type { AgentCall } from './agent-call.ts';
import { FLEET, type FleetObject, HOSTS } from './fleet-object.ts';
import type { Standing } from './guest-object.ts';

const instantRequest = z.strictObject({
  members: z
    .array(
      z.looseObject({ vm: z.string().min(1), disks: z.array(z.looseObject({ disk: z.string() })).min(1) }),
    )
    .min(1)
    .max(64),
});

export const INSTANT = 'instant';
const FIRST_LOOK_MS = 100;
const LAST_LOOK_MS = 2_000;
const CALL = { initialRetryInterval: 100, maxRetryDuration: 40_000 } as const;

export type InstantWorkflow = ReturnType<typeof instantWorkflow>;

export function instantWorkflow(call: AgentCall) {
  return restate.workflow({
    name: INSTANT,
    handlers: {
      run: async (ctx: restate.WorkflowContext, given: unknown): Promise<Standing> => {
        const read = instantRequest.safeParse(given);
        if (!read.success) {
          const why = z.prettifyError(read.error).replaceAll('\n', ' ');
          throw new restate.TerminalError(`this is no group: ${why}`, { errorCode: 400 });
        }
        const { members } = read.data;
        const agent = await agentOfAll(
          ctx,
          members.map(({ vm }) => vm),
        );
        const id = encodeURIComponent(ctx.key);
        await ctx.run('submit', () => call(agent, 'POST', `/groups/${id}`, { members }), CALL);
        for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LAST_LOOK_MS)) {
          const standing = await ctx.run('look', () => call<Standing>(agent, 'GET', `/sagas/${id}`), CALL);
          if (standing.result !== null) return standing;
          await ctx.sleep(waitMs);
        }
      },
    },
  });
}

/** The one agent that has all these guests. */
async function agentOfAll(ctx: restate.WorkflowContext, guests: readonly string[]): Promise<string> {
  const hosts = await ctx.objectClient<FleetObject>({ name: FLEET }, HOSTS).hosts();
  const has = (vm: string) => hosts.filter(({ status }) => status?.guests.some(guest => guest.vm === vm));
  const homes = guests.map(vm => {
    const [home, other] = has(vm);
    if (home === undefined)
      throw new restate.TerminalError(`no host that answers has guest ${vm}`, { errorCode: 404 });
    if (other === undefined) return home;
    const why = `hosts ${home.host} and ${other.host} both have a guest ${vm}`;
    throw new restate.TerminalError(why, { errorCode: 409 });
  });
  const [first] = homes;
  const elsewhere = homes.find(({ host }) => host !== first?.host);
  if (first !== undefined && elsewhere === undefined) return first.agent;
  const why = `these guests are on hosts ${first?.host} and ${elsewhere?.host}: an instant is of guests on one host`;
  throw new restate.TerminalError(why, { errorCode: 422 });
}
