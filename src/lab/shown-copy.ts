/** A copy of a simulated guest in real time, slow enough to be watched: what an inspector is shown where no saga is at hand. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '../engine/engine.ts';
import type { SagaResult } from '../engine/running/result.ts';
import type { Inspect } from '../engine/running/saga.ts';
import type { Journal } from '../journal/journal.ts';
import { serveSim } from '../sim/serve.ts';

const DISKS = 3;
const SIZE_BYTES = 256 * 2 ** 20;
/** Some twenty seconds for a disk. */
const BANDWIDTH = 12 * 2 ** 20;

/** Copies all disks of it and switches; resolves at the end of the saga, which `signal` rolls back. */
export async function showCopy(journal: Journal, inspect: Inspect, signal: AbortSignal): Promise<SagaResult> {
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-shown-'));
  const listen = join(folder, 'qmp');
  const { sim, close } = await serveSim({ listen, disks: DISKS, sizeBytes: SIZE_BYTES, backingLayers: 1 });
  const engine = createEngine({ journal, inspect });
  try {
    for (const { node } of sim.world.fronts())
      sim.world.inject('human-monitor-command', {
        'command-line': `qemu-io ${node} "write 0 ${SIZE_BYTES}"`,
      });
    const disks = sim.world.fronts().map(({ node, path }) => ({ disk: node, to: `${path}.copy` }));
    const saga = await engine.copy({
      ...{ qmp: listen, files: sim.files, vm: 'shown', disks, bandwidth: BANDWIDTH, signal },
    });
    return await saga.result;
  } finally {
    await engine.close();
    await close();
    rmSync(folder, { recursive: true, force: true });
  }
}
