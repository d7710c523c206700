/**
 * A process that uses the journal of processes.test.ts: `node journal-process.ts FILE VERB NAME`. It says on standard
 * output what was acknowledged, one JSON value a line, written at once. It never ends by itself: it is killed.
 */

import { writeSync } from 'node:fs';
import { createEngine } from '../../src/engine/engine.ts';
import { BlocksagaError } from '../../src/errors.ts';
import { openJournal } from '../../src/journal/sqlite.ts';
import { serveSim } from '../../src/sim/serve.ts';
import { intent, newSaga } from './contract.ts';

const [file = '', verb = '', name = ''] = process.argv.slice(2);
const say = (value: unknown) => writeSync(1, `${JSON.stringify(value)}\n`);

/** What a try to get a VM came to: true, or the code of the refusal. */
function attempt(claim: () => unknown): true | string {
  try {
    claim();
    return true;
  } catch (error) {
    if (error instanceof BlocksagaError) return `${error.code} ${error.message}`;
    throw error;
  }
}

/** The longest time for which the event loop did not turn, in milliseconds. */
function watchLoop(): () => number {
  let lastMs = performance.now();
  let longestMs = 0;
  setInterval(() => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
  }, 5);
  return () => longestMs;
}

const verbs: Record<string, () => Promise<void>> = {
  /** Opens, claims 20 VMs that the others want too, says which it got. */
  async claim() {
    say('ready');
    process.stdin.once('data', () => {
      const journal = openJournal(file);
      const vms = Array.from({ length: 20 }, (_, index) => `vm${index}`);
      say(vms.map(vm => attempt(() => journal.begin(newSaga(`${vm} of ${name}`, { vm })))));
    });
  },
  /** Runs a saga of its own, on a simulated QEMU of its own; says how it ended, and how long its event loop stood. */
  async saga() {
    const listen = `${file}.${name}`;
    const { sim } = await serveSim({ listen, disks: 2 });
    const engine = createEngine({ journal: openJournal(file) });
    say('ready');
    process.stdin.once('data', async () => {
      try {
        const standsMs = watchLoop();
        const disks = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));
        const request = { qmp: listen, files: sim.files, id: name, vm: name, disks };
        // So that a machine with much else to do does not end the pause before the journal is free.
        const saga = await engine.copy({ ...request, maxBlackoutMs: 30_000 });
        say('begun');
        const { outcome, error, blackoutMs } = await saga.result;
        say({ outcome, error, blackoutMs, running: sim.world.running, standsMs: standsMs() });
      } catch (error) {
        say({ outcome: 'none', error: String(error) });
      }
    });
  },
  /** Begins a copy that goes on for hours, on a simulated QEMU at the socket `name`, and keeps it. */
  async hold() {
    const { sim } = await serveSim({ listen: name, disks: 2 });
    const engine = createEngine({ journal: openJournal(file) });
    const disks = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));
    const saga = await engine.copy({
      ...{ qmp: name, files: sim.files, id: 'held', vm: 'web', disks, bandwidth: 1024, finish: 'leave' },
      metadata: { task: '4711' },
    });
    saga.result.catch(() => undefined);
    say({ pid: process.pid });
  },
  /** Takes over the saga `name`, which the others want too. */
  async takeOver() {
    const journal = openJournal(file);
    say('ready');
    process.stdin.once('data', () => say([attempt(() => journal.takeOver(name))]));
  },
  /** Appends for ever to the saga `name`, every third record synchronously, and says each number once it is durable. */
  async append() {
    const journal = openJournal(file);
    const lease = journal.begin(newSaga(name));
    for (let number = 1; ; number += 1) {
      const record = intent(`step${number}`, { number, fill: 'x'.repeat(number % 300) });
      if (number % 3 === 0) journal.appendSync(lease, [record]);
      else await journal.append(lease, [record], { durable: true });
      say(number);
    }
  },
};

await verbs[verb]?.();
setInterval(() => {}, 1000);
