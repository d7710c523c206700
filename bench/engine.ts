/**
 * What the engine itself costs, with the journal in memory, on simulators in this process: time per saga, and memory per
 * saga in flight. What is left out is measured beside it: a simulator that gets the very same commands at the very same
 * virtual times from no device. `node bench/engine.ts [SAGAS]`: so many are in flight at once (default 2000).
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createEngine } from '../src/engine/engine.ts';
import { memoryJournal } from '../src/journal/memory.ts';
import type { Connect, Json } from '../src/qmp/transport.ts';
import { createSim, type Sim } from '../src/sim/create-sim.ts';
import { createVirtualClock, type VirtualClock } from '../src/sim/host/virtual-clock.ts';

type Operation = 'snapshot' | 'copy';
type Finish = 'pivot' | 'leave';

/** What was sent on a monitor, and when. */
type Script = readonly { readonly atMs: number; readonly messages: readonly Json[] }[];

const DISKS = [1, 8, 64];
const WARM_UP_ROUNDS = 60;
const ROUNDS = 7;
const DISKS_A_ROUND = 64;
const AFTERWARDS_MS = 50;

function newSim(disks: number, clock: VirtualClock): Sim {
  return createSim({ disks, clock, timing: { guestWriteMs: 0 } });
}

function newClock(): VirtualClock {
  return createVirtualClock({ promisesOnly: true });
}

function beginSaga(sim: Sim, connect: Connect, operation: Operation, finish: Finish, vm = 'vm') {
  const engine = createEngine({ journal: memoryJournal(undefined, { clock: sim.clock }), clock: sim.clock });
  const guest = { qmp: connect, files: sim.files, vm };
  const fronts = sim.world.fronts();
  const renamed = (path: string) => path.replace('.qcow2', '.new.qcow2');
  if (operation === 'snapshot') {
    const disks = fronts.map(({ node, path }) => ({ disk: node, overlay: renamed(path) }));
    return engine.snapshot({ ...guest, disks });
  }
  return engine.copy({
    ...guest,
    finish,
    disks: fronts.map(({ node, path }) => ({ disk: node, to: renamed(path) })),
  });
}

/** Runs a saga and gives what it sent. */
async function runSaga(
  sim: Sim,
  operation: Operation,
  finish: Finish,
): Promise<{ outcome: string; script: Script }> {
  const script: Script[number][] = [];
  const connect: Connect = async handlers => {
    const transport = await sim.connect(handlers);
    return {
      send(messages) {
        script.push({ atMs: sim.clock.now(), messages });
        transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
  const saga = await sim.run(beginSaga(sim, connect, operation, finish));
  const { outcome } = await sim.run(saga.result);
  return { outcome, script };
}

/** Sends the same to a simulator, with no device behind it. */
async function playScript(sim: Sim, script: Script): Promise<void> {
  const transport = await sim.connect({ onMessage: () => undefined, onClose: () => undefined });
  const startMs = sim.clock.now();
  for (const { atMs, messages } of script) {
    sim.clock.after(atMs - startMs, () => transport.send(messages));
  }
  await sim.advance((script.at(-1)?.atMs ?? startMs) - startMs + AFTERWARDS_MS);
}

/** Milliseconds of CPU time for one call, the least of several rounds. */
async function leastCpuMs(calls: number, rounds: number, call: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round += 1) {
    const before = process.cpuUsage();
    for (let n = 0; n < calls; n += 1) await call();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1_000 / calls);
  }
  return least;
}

async function overhead(operation: Operation, disks: number) {
  const { outcome, script } = await runSaga(newSim(disks, newClock()), operation, 'pivot');
  if (outcome !== 'committed') throw new Error(`the ${operation} of ${disks} disks ended as ${outcome}`);
  const calls = Math.max(1, Math.round(DISKS_A_ROUND / disks));
  const saga = () => runSaga(newSim(disks, newClock()), operation, 'pivot');
  const bare = () => playScript(newSim(disks, newClock()), script);
  await leastCpuMs(1, Math.round(WARM_UP_ROUNDS / Math.sqrt(disks)), () => saga().then(bare));
  const sagaMs = await leastCpuMs(calls, ROUNDS, saga);
  const bareMs = await leastCpuMs(calls, ROUNDS, bare);
  return {
    ...{ operation, disks, commands: script.reduce((sum, { messages }) => sum + messages.length, 0) },
    ...{ 'with the engine ms': rounded(sagaMs), 'the same commands ms': rounded(bareMs) },
    ...{
      'engine ms': rounded(sagaMs - bareMs),
      'engine µs per disk': Math.round(((sagaMs - bareMs) * 1_000) / disks),
    },
  };
}

/** What so many worlds hold, in kB each, once everything is on its way. */
async function heapKbEach(count: number, begin: (index: number) => Promise<unknown>): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const held: unknown[] = [];
  held.push(await begin(0)); // what is made once does not count
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let index = 1; index <= count; index += 1) held.push(await begin(index));
  collect();
  const kb = (process.memoryUsage().heapUsed - before) / 1_024 / count;
  if (held.length !== count + 1) throw new Error('not all of them are held');
  return kb;
}

/** Sagas that wait with their mirrors ready, each on a simulator of its own. */
async function inFlight(disks: number, count: number) {
  const { script } = await runSaga(newSim(disks, newClock()), 'copy', 'leave');
  const sagas = await heapKbEach(count, async index => {
    const sim = newSim(disks, newClock());
    const saga = await sim.run(beginSaga(sim, sim.connect, 'copy', 'leave', `vm${index}`));
    const { outcome } = await sim.run(saga.result);
    if (outcome !== 'ready') throw new Error(`a saga that was to wait ended as ${outcome}`);
    return { sim, saga };
  });
  const bare = await heapKbEach(count, async () => {
    const sim = newSim(disks, newClock());
    await playScript(sim, script);
    return sim;
  });
  return {
    ...{ 'sagas in flight': count, disks, 'each kB': Math.round(sagas) },
    ...{ 'its simulator kB': Math.round(bare), 'its engine kB': Math.round(sagas - bare) },
  };
}

function rounded(ms: number): number {
  return Number(ms.toFixed(3));
}

const count = Number(process.argv[2] ?? 2_000);
for (const operation of ['snapshot', 'copy'] as const) {
  const lines = [];
  for (const disks of DISKS) lines.push(await overhead(operation, disks));
  console.table(lines);
}
console.table([await inFlight(1, count), await inFlight(1, Math.ceil(count / 4)), await inFlight(3, count)]);
