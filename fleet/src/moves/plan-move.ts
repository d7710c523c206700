/** What a move would do: asks every agent what its guests have, and what a copy of them would be. It changes nothing. */
import * as restate from '@restatedev/restate-sdk';
import type { AgentCall } from '../agent-call.ts';
import type { HostSeen } from '../fleet-object.ts';
import { runFor } from '../tried.ts';
import type { GuestReport } from './report.ts';
import {
  collisionsIn,
  copyRequest,
  type DiskMove,
  type DiskTold,
  type MoveRequest,
  movesOf,
} from './request.ts';

const CALL = { initialRetryInterval: 100, maxRetryDuration: 20_000 } as const;

export interface Planning {
  readonly ctx: restate.WorkflowContext;
  readonly call: AgentCall;
  readonly request: MoveRequest;
  readonly hosts: readonly HostSeen[];
  /** Hears of each guest that has a disk to be moved, as soon as it is planned or refused. */
  readonly onGuest: (report: GuestReport) => void;
}

interface Found {
  readonly guest: string;
  readonly host: string;
  readonly agent: string;
}

/** Gives why the whole cannot be. */
export async function planMove(planning: Planning): Promise<string | undefined> {
  const { hosts, onGuest } = planning;
  const { guests, host } = planning.request;
  if (host !== undefined && !hosts.some(each => each.host === host)) return `there is no host "${host}"`;
  const chosen = hosts.filter(each => host === undefined || each.host === host);
  const silent = chosen.find(({ status }) => status === null);
  if (silent !== undefined)
    return `host ${silent.host} does not answer (${silent.agent}): its guests are not known`;
  const found = chosen.flatMap(each =>
    (each.status?.guests ?? []).map(({ vm }) => ({ guest: vm, host: each.host, agent: each.agent })),
  );
  const unknown = guests?.filter(name => !found.some(({ guest }) => guest === name)) ?? [];
  if (unknown.length > 0) return `no host has ${unknown.join(', ')}`;
  const wanted = found.filter(({ guest }) => guests === undefined || guests.includes(guest));
  const twice = wanted.find(({ guest }, at) => wanted.findIndex(each => each.guest === guest) !== at);
  if (twice !== undefined) return `two hosts have a guest "${twice.guest}": say which by "host"`;
  const planned: GuestReport[] = [];
  for (const each of wanted) {
    const report = await planGuest(planning, each);
    if (report === undefined) continue;
    planned.push(report);
    onGuest(report);
  }
  if (planned.length === 0) return 'no disk of any guest is to be moved';
  return collisionsIn(planned)[0];
}

/** Undefined for a guest that has no disk to be moved. */
async function planGuest(
  { ctx, call, request }: Planning,
  { guest, host, agent }: Found,
): Promise<GuestReport | undefined> {
  const saga = `${ctx.key}.${guest}`;
  const path = `/guests/${encodeURIComponent(guest)}`;
  let disks: readonly DiskMove[] = [];
  try {
    const told = await runFor(
      ctx,
      `disks of ${guest}`,
      () => call<{ disks: readonly DiskTold[] }>(agent, 'GET', path),
      CALL,
    );
    disks = movesOf(guest, told.disks, request);
    if (disks.length === 0) return undefined;
    const asked = copyRequest(saga, disks, request);
    // The plan itself stays with the agent: it is made anew when the copy begins.
    await runFor(
      ctx,
      `plan ${guest}`,
      async () => void (await call(agent, 'POST', `${path}/plan/copy`, asked)),
      CALL,
    );
    return { guest, host, saga, disks, state: 'waits' };
  } catch (error) {
    return { guest, host, saga, disks, state: 'refused', why: terminalMessage(error) };
  }
}

function terminalMessage(error: unknown): string {
  if (error instanceof restate.TerminalError && !(error instanceof restate.CancelledError))
    return error.message;
  throw error;
}
