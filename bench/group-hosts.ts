/**
 * How long the guests of a group on two hosts are paused, against the same guests as a group of one host: real QEMUs with idle
 * guests, two agents in this process that meet over HTTP on loopback, the pauses by QEMU's own events.
 * `node bench/group-hosts.ts [GUESTS...]` (default 2 4).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Agent, startAgent } from '../src/agent/agent.ts';
import { guestsHere } from '../src/agent/guests-here.ts';
import { type GuestVm, startGuestVm } from '../src/demo/guest-vm.ts';
import { sleep, systemClock } from '../src/qmp/clock.ts';
import { pauseOf } from './next-pause.ts';

const ROUNDS = 9;
const LOOK_MS = 20;
const SIZE_BYTES = 16 * 1024 * 1024;
const TOKEN = 'b7'.repeat(24);

async function ask(agent: Agent, path: string, body?: object): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(`${agent.url}${path}`, {
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
  });
  const told = (await response.json()) as Readonly<Record<string, unknown>>;
  if (!response.ok) throw new Error(JSON.stringify(told));
  return told;
}

let groups = 0;

/** The longest pause of these guests, of which the agents have the parts; the first leads. */
async function groupPause(vms: readonly GuestVm[], parts: readonly (readonly [Agent, readonly number[]])[]) {
  groups += 1;
  const id = `g${groups}`;
  const pauses = vms.map(pauseOf);
  const [leader] = parts;
  await Promise.all(
    parts.map(([agent, guests]) => {
      const members = guests.map(at => ({
        ...{ vm: `vm${at}`, id: `${id}.${at}`, maxBlackoutMs: 10_000 },
        disks: [{ disk: 'dev0', overlay: join(vms[at]?.directory ?? '', `${id}.qcow2`) }],
      }));
      const across =
        agent === leader?.[0] ? { with: ['h2'] } : { leader: { host: 'h1', agent: leader?.[0].url } };
      return ask(agent, `/groups/${id}`, parts.length === 1 ? { members } : { members, ...across });
    }),
  );
  for (const [agent] of parts)
    for (;;) {
      const { result, state } = await ask(agent, `/sagas/${id}`);
      if (result !== null && state !== 'committed') throw new Error(`group ${id} ended as ${String(state)}`);
      if (result !== null) break;
      await sleep(systemClock, LOOK_MS);
    }
  return Math.max(...pauses.map(pause => pause()));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const sizes = process.argv.slice(2).map(Number);
const counts = sizes.length === 0 ? [2, 4] : sizes;
const folder = mkdtempSync(join(tmpdir(), 'bench-hosts-'));
const vms: GuestVm[] = [];
const agents: Agent[] = [];
try {
  while (vms.length < Math.max(...counts))
    vms.push(await startGuestVm({ disks: 1, sizeBytes: SIZE_BYTES, guest: 'idle' }));
  for (const host of ['h1', 'h2'])
    agents.push(
      await startAgent({
        ...{ host, journal: join(folder, `${host}.db`), token: TOKEN, log: () => undefined },
        guests: guestsHere({ named: new Map(vms.map(({ monitor }, at) => [`vm${at}`, monitor])) }),
        listen: { host: '127.0.0.1', port: 0 },
      }),
    );
  const [one, other] = agents as [Agent, Agent];
  const rows = [];
  for (const count of counts) {
    const some = vms.slice(0, count);
    const all = [...some.keys()];
    const half = count / 2;
    const parts = [[one, all.slice(0, half)] as const, [other, all.slice(half)] as const];
    await groupPause(some, parts); // warms up
    const alone: number[] = [];
    const across: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      alone.push(await groupPause(some, [[one, all]]));
      across.push(await groupPause(some, parts));
    }
    rows.push({
      guests: count,
      'two hosts ms': median(across).toFixed(1),
      'one host ms': median(alone).toFixed(1),
      'more ms': (median(across) - median(alone)).toFixed(1),
    });
  }
  console.table(rows);
} finally {
  for (const agent of agents) await agent.close();
  for (const vm of vms) await vm[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
}
