/**
 * How long the guests of a group are paused, against the slowest of them alone: real QEMUs with idle guests, the journal in a
 * file, the pauses by QEMU's own events. `node bench/group.ts [GUESTS...]` (default 2 4 8 16); `npm run bench:group`. The aim is
 * the slowest single pause plus one round trip plus 5 ms; beside it stand the same single snapshots begun at once, which share the
 * processors as a group does. The floor is what the machine itself takes for the bare commands.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type GuestVm, startGuestVm } from '../src/demo/guest-vm.ts';
import { createEngine } from '../src/engine/engine.ts';
import { openJournal } from '../src/journal/sqlite.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { floorOf } from './group-floor.ts';
import { pauseOf, stopOf } from './next-pause.ts';

const ROUNDS = 9;
const ROUND_TRIPS = 50;
const SIZE_BYTES = 16 * 1024 * 1024;

let images = 0;

function requestOf(vm: GuestVm) {
  images += 1;
  const disks = [{ disk: 'dev0', overlay: join(vm.directory, `s${images}.qcow2`) }];
  return { vm: vm.monitor, qmp: vm.monitor, maxBlackoutMs: 10_000, disks };
}

/** The longest pause of a group of these guests, and its own figures. */
async function groupPause(engine: ReturnType<typeof createEngine>, vms: readonly GuestVm[]) {
  const pauses = vms.map(pauseOf);
  const stops = vms.map(stopOf);
  const group = await engine.group(vms.map(requestOf));
  const { outcome, waitedMs } = await group.result;
  if (outcome !== 'committed') throw new Error(`a group ended as ${outcome}`);
  const stoppedMs = stops.map(stop => stop());
  const apartMs = Math.max(...stoppedMs) - Math.min(...stoppedMs);
  return { pauseMs: Math.max(...pauses.map(pause => pause())), waitedMs: waitedMs ?? 0, apartMs };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function roundTripMs(vm: GuestVm): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < ROUND_TRIPS; n += 1) {
    const sinceMs = systemClock.now();
    await vm.witness.execute('query-status');
    times.push(systemClock.now() - sinceMs);
  }
  return median(times);
}

const sizes = process.argv.slice(2).map(Number);
const counts = sizes.length === 0 ? [2, 4, 8, 16] : sizes;
const folder = mkdtempSync(join(tmpdir(), 'bench-group-'));
const journal = openJournal(join(folder, 'journal.db'));
const engine = createEngine({ journal });
const vms: GuestVm[] = [];
try {
  while (vms.length < Math.max(...counts)) {
    vms.push(await startGuestVm({ disks: 1, sizeBytes: SIZE_BYTES, guest: 'idle' }));
  }
  await groupPause(engine, vms); // warms up
  const rows = [];
  for (const count of counts) {
    const some = vms.slice(0, count);
    const singles: number[] = [];
    const groups: Awaited<ReturnType<typeof groupPause>>[] = [];
    const floors: number[] = [];
    const atOnce: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const alone: number[] = [];
      for (const vm of some) alone.push((await groupPause(engine, [vm])).pauseMs);
      singles.push(Math.max(...alone));
      groups.push(await groupPause(engine, some));
      const beside = await Promise.all(some.map(vm => groupPause(engine, [vm])));
      atOnce.push(Math.max(...beside.map(({ pauseMs }) => pauseMs)));
      floors.push(await floorOf(some, SIZE_BYTES));
    }
    const [single, group] = [median(singles), median(groups.map(({ pauseMs }) => pauseMs))];
    const rttMs = await roundTripMs(some[0] as GuestVm);
    rows.push({
      guests: count,
      'group ms': group.toFixed(1),
      'slowest alone ms': single.toFixed(1),
      'slowest of all alone at once ms': median(atOnce).toFixed(1),
      'round trip ms': rttMs.toFixed(2),
      'more than both ms': (group - single - rttMs).toFixed(1),
      'floor ms': median(floors).toFixed(1),
      'first to last stop ms': median(groups.map(({ apartMs }) => apartMs)).toFixed(1),
      'of it waited ms': median(groups.map(({ waitedMs }) => waitedMs)).toFixed(1),
    });
  }
  console.table(rows);
} finally {
  for (const vm of vms) await vm[Symbol.asyncDispose]();
  await engine.close();
  await journal.close();
  rmSync(folder, { recursive: true });
}
