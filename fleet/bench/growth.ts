/**
 * How the cost of a fleet grows with its hosts, guests and steps, against Restate's own floor in the same run: simulated guests, real
 * agents, the fleet's endpoint and one Restate, all on this machine. Costs are processor time, which other work on the machine hardly
 * changes; how long a request took it does.
 *
 *     node bench/growth.ts [--hosts 20] [--guests 1000] [--sagas 10000] [--at-once 32]      in fleet/, behind "npm run build"
 *
 * SIGINT and SIGTERM end it behind what is under way, with the table of what was measured.
 */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Host, PARTS, type Part, post, Stage } from './stage.ts';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '20' },
    guests: { type: 'string', default: '1000' },
    sagas: { type: 'string', default: '10000' },
    'at-once': { type: 'string', default: '32' },
  },
});
const [hosts, guests, sagas, atOnce] = [values.hosts, values.guests, values.sagas, values['at-once']].map(
  Number,
) as [number, number, number, number];
const STEPS = [1, 4, 16];
/** Of Restate's floor, and of a look at all hosts. */
const FLOOR_CALLS = Math.min(sagas, 2_000);
const LOOKS = 20;

/** So often is said how far it is. */
const PARTS_TOLD = 20;
/** Tries of one request on a machine with too much to do. */
const TRIES_MAX = 20;
const AGAIN_MS = 500;
/** Of fewer it is not told how far they are. */
const FEW = 1_000;

const ended = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort());

interface Measured {
  readonly count: number;
  readonly perSecond: number;
  readonly medianMs: number;
  readonly lateMs: number;
  /** Processor time for each of them. */
  readonly spentMs: Readonly<Record<Part, number>>;
}

const inSeconds = (ms: number) => `${(ms / 1_000).toFixed(0)} s`;

/** So many at once: each lane takes the next when its last has ended. */
async function measure(
  stage: Stage,
  jobs: readonly (() => Promise<void>)[],
  lanes: number,
): Promise<Measured> {
  const before = stage.spentMs();
  const beganMs = performance.now();
  const times: number[] = [];
  let next = 0;
  const lane = async () => {
    for (let job = jobs[next++]; job !== undefined && !ended.signal.aborted; job = jobs[next++]) {
      const sinceMs = performance.now();
      await job();
      times.push(performance.now() - sinceMs);
      if (times.length % Math.ceil(jobs.length / PARTS_TOLD) === 0 && jobs.length >= FEW)
        console.log(`  ${times.length} of ${jobs.length}, ${inSeconds(performance.now() - beganMs)}`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const tookMs = performance.now() - beganMs;
  const after = stage.spentMs();
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  const each = (part: Part) => (after[part] - before[part]) / Math.max(1, times.length);
  return {
    count: times.length,
    perSecond: (times.length * 1_000) / tookMs,
    medianMs: at(0.5),
    lateMs: at(0.99),
    spentMs: Object.fromEntries(PARTS.map(part => [part, each(part)])) as Record<Part, number>,
  };
}

let askedAgain = 0;

/**
 * Where an agent or Restate has been given no processor for so long that the request ended, or its connection, it is asked again: a
 * snapshot's id meets the same saga, and all else may be asked twice.
 */
async function ask(path: string, body?: unknown): Promise<unknown> {
  const url = `${stage.ingress}/${path}`;
  for (let tries = 1; ; tries += 1) {
    const told = await post(url, body).then(
      async response => ({ status: response.status, text: await response.text() }),
      (error: unknown) => ({ status: 599, text: String(error) }),
    );
    if (told.status < 300) return told.text === '' ? undefined : JSON.parse(told.text);
    if (told.status < 500 || tries === TRIES_MAX) throw new Error(`${url}: ${told.status} ${told.text}`);
    askedAgain += 1;
    await sleep(AGAIN_MS);
  }
}

let taken = 0;

/** So many snapshots of each of these guests, those of one guest one after the other. */
function snapshotsOf(chosen: readonly Host[], count: number): (() => Promise<void>)[] {
  const all = chosen.flatMap(({ guests: names, directory }) => names.map(name => ({ name, directory })));
  return Array.from({ length: count }, (_, at) => {
    const { name, directory } = all[at % all.length] as { name: string; directory: string };
    taken += 1;
    const id = `s${taken}`;
    const disks = [{ disk: 'disk0', overlay: `${directory}/${name}/${id}.qcow2` }];
    return async () => {
      const told = await ask(`guest/${name}/snapshot`, { id, disks });
      const { outcome } = told as { readonly outcome?: string };
      if (outcome !== 'committed') throw new Error(`${id} of ${name} ended as ${outcome}`);
      // The simulator has it inside; the next snapshot asks whether it is outside too.
      for (const { overlay } of disks) writeFileSync(overlay, '');
    };
  });
}

const row = (what: string, { count, perSecond, medianMs, lateMs, spentMs }: Measured) => ({
  what,
  count,
  'a second': perSecond.toFixed(1),
  'median ms': medianMs.toFixed(1),
  '99 % ms': lateMs.toFixed(1),
  'CPU ms Restate': spentMs.restate.toFixed(2),
  'CPU ms endpoint': (spentMs.endpoint + spentMs.floor).toFixed(2),
  'CPU ms agents': spentMs.agents.toFixed(2),
});

await using stage = new Stage();
const perHost = Math.floor(guests / hosts);
console.log(`${hosts} agents, ${hosts * perHost} simulated guests, ${sagas} sagas, ${atOnce} at once`);
await stage.start(hosts, perHost);
const rows: object[] = [];
const add = (what: string, measured: Measured) => {
  if (measured.count === 0) return;
  const told = row(what, measured);
  rows.push(told);
  console.log(Object.values(told).join('  ')); // a run may take an hour
};

const callsOf = (path: string, body?: unknown) =>
  Array.from({ length: FLOOR_CALLS }, (_, at) => async () => {
    await ask(`floor/f${at % guests}/${path}`, body);
  });
await measure(stage, callsOf('empty').slice(0, 100), atOnce); // warms up
add('floor: an empty handler', await measure(stage, callsOf('empty'), atOnce));
for (const steps of STEPS)
  add(`floor: ${steps} empty steps`, await measure(stage, callsOf('steps', steps), atOnce));

const look = () =>
  Array.from({ length: LOOKS }, () => async () => {
    await ask('fleet/hosts/hosts');
  });
const joined: Host[] = [];
for (const host of stage.hosts) {
  await ask('fleet/hosts/join', host.agent);
  joined.push(host);
  if (joined.length === 1 || joined.length === stage.hosts.length)
    add(`fleet hosts: ${joined.length}, one look`, await measure(stage, look(), 1));
}

const few = Math.max(1, Math.floor(sagas / 10));
const first = stage.hosts.slice(0, 1);
const one = first.map(host => ({ ...host, guests: host.guests.slice(0, 1) }));
await measure(stage, snapshotsOf(stage.hosts, Math.min(few, 2 * atOnce)), atOnce); // warms up
add('snapshots: 1 host, 1 guest', await measure(stage, snapshotsOf(one, Math.min(few, 50)), 1));
add(`snapshots: 1 host, ${perHost} guests`, await measure(stage, snapshotsOf(first, few), atOnce));
const before = stage.bytes();
const whole = await measure(stage, snapshotsOf(stage.hosts, sagas), atOnce);
const after = stage.bytes();
add(`snapshots: ${hosts} hosts, ${hosts * perHost} guests`, whole);
console.table(rows);
const resident = stage.residentMb();
console.table({
  'bytes a saga in the journal of its host': Math.round(
    (after.journals - before.journals) / Math.max(1, whole.count),
  ),
  "bytes a saga in Restate's directory": Math.round(
    (after.restate - before.restate) / Math.max(1, whole.count),
  ),
  'MB resident of Restate': Math.round(resident.restate),
  'MB resident of an agent': Math.round(resident.agents / hosts),
  'requests that were asked again': askedAgain,
  'load of the machine (15 minutes)': (loadavg()[2] ?? 0).toFixed(1),
});
