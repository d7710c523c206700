/**
 * What the journal costs: durable appends one after the other, from many sagas at once, and synchronous, beside the
 * limit (an append and an fdatasync of the same bytes to a bare file) and the journal in memory.
 * `node bench/journal.ts [DIRECTORY]`: the disk under DIRECTORY is measured (default: the temporary directory).
 */

import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Journal, Lease, NewRecord } from '../src/journal/journal.ts';
import { memoryJournal } from '../src/journal/memory.ts';
import { openJournal } from '../src/journal/sqlite.ts';
import { systemClock } from '../src/qmp/clock.ts';

const RECORD: NewRecord = {
  kind: 'intent',
  step: 'startMirrors',
  body: {
    disk: 'disk0',
    job: 'bs-1f2e3d4c-disk0',
    arguments: { device: 'disk0', target: 't0', sync: 'full' },
  },
};
const DURABLE = { durable: true };

interface Line {
  readonly what: string;
  readonly 'appends/s': number;
  readonly 'p50 ms': number;
  readonly 'p99 ms': number;
}

/** Runs `lanes` loops at once, `rounds` calls each. */
async function measure(
  what: string,
  lanes: number,
  rounds: number,
  call: (lane: number) => unknown,
): Promise<Line> {
  const tookMs: number[] = [];
  const startMs = systemClock.now();
  const lane = async (_: unknown, index: number) => {
    for (let round = 0; round < rounds; round += 1) {
      const beforeMs = systemClock.now();
      await call(index);
      tookMs.push(systemClock.now() - beforeMs);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const totalMs = systemClock.now() - startMs;
  tookMs.sort((a, b) => a - b);
  const at = (share: number) => Number((tookMs[Math.floor(tookMs.length * share)] ?? 0).toFixed(3));
  return {
    what,
    'appends/s': Math.round((tookMs.length * 1000) / totalMs),
    'p50 ms': at(0.5),
    'p99 ms': at(0.99),
  };
}

function begin(journal: Journal, prefix: string, sagas: number): readonly Lease[] {
  return Array.from({ length: sagas }, (_, index) => {
    const id = `${prefix}${index}`;
    return journal.begin({
      ...{ id, vm: id, operation: 'copy', planVersion: 1, address: '/run/vm.qmp', request: {}, plan: {} },
    });
  });
}

/** One call of the port per loop, for each of the sagas. */
function appends(journal: Journal, sagas: readonly Lease[]): (lane: number) => Promise<void> {
  return lane => {
    const lease = sagas[lane];
    if (lease === undefined) throw new Error('more loops than sagas');
    return journal.append(lease, [RECORD], DURABLE);
  };
}

const directory = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'blocksaga-bench-'));
try {
  const bare = openSync(join(directory, 'bare'), 'w');
  const bytes = Buffer.alloc(JSON.stringify(RECORD).length + 50, 'x');
  const journal = openJournal(join(directory, 'journal.db'));
  const memory = memoryJournal();
  const single = begin(journal, 'single', 1);
  const lines = [
    await measure('bare file, write + fdatasync', 1, 2000, () => {
      writeSync(bare, bytes);
      fdatasyncSync(bare);
    }),
    await measure('append, 1 saga', 1, 2000, appends(journal, single)),
    await measure('appendSync', 1, 2000, () => single.map(lease => journal.appendSync(lease, [RECORD]))),
    await measure('append, 50 sagas at once', 50, 200, appends(journal, begin(journal, 'fifty', 50))),
    await measure('append, 1000 sagas at once', 1000, 20, appends(journal, begin(journal, 'many', 1000))),
    await measure('in memory, 1 saga', 1, 100_000, appends(memory, begin(memory, 'm', 1))),
  ];
  console.table(lines);
  closeSync(bare);
  await journal.close();
} finally {
  rmSync(directory, { recursive: true });
}
