/**
 * An orchestrator that can be told when to die: `node orchestrator.ts JOURNAL`. It runs sagas with the engine that
 * everybody uses and a journal in a file, and kills itself, or QEMU, at the moment that it was told.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  BlocksagaError,
  createEngine,
  localFiles,
  openJournal,
  recoverOffline,
  type Saga,
} from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import { Moments } from './moments.ts';
import { operationNamed, requestOf } from './operations.ts';
import type { Order, Saying } from './orders.ts';

const [journalFile = ''] = process.argv.slice(2);
const journal = openJournal(journalFile);

/** At once, so that it is said also by one who dies next. */
function say(saying: Saying): void {
  writeSync(1, `${JSON.stringify(saying)}\n`);
}

async function obey(order: Order): Promise<void> {
  const operation = operationNamed(order.operation);
  const over = new AbortController();
  const moments = new Moments({
    strike: strikeOf(order, over.signal),
    bend: order.order === 'run' ? operation.bend : undefined,
  });
  const engine = createEngine({ journal: moments.journal(journal) });
  const guest = { qmp: moments.connect(connectSocket(order.qmp)), files: moments.files(localFiles) };
  say({ says: 'begun' });
  try {
    if (order.order === 'recover') {
      const result = await recoverOffline(moments.journal(journal), order.id, { qmp: order.qmp });
      say({ says: 'result', result, commands: 0, moments: moments.passed });
      return;
    }
    const saga = await begin();
    saga.subscribe(notice => {
      if (notice.type === 'event') moments.enter(notice.state);
    });
    const first = await saga.result;
    const result = first.outcome === 'ready' ? await saga.pivot() : first;
    say({ says: 'result', result, commands: moments.commands, moments: moments.passed });
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    say({ says: 'refused', code: error.code, message: error.message });
  } finally {
    over.abort();
  }

  function begin(): Promise<Saga> {
    if (order.order === 'resume') return engine.resume(order.id, guest);
    const asked = requestOf(operation, order.id, order.files, order.agent);
    switch (asked.operation) {
      case 'copy':
        return engine.copy({ ...asked.request, ...guest });
      case 'commit':
        return engine.commit({ ...asked.request, ...guest });
      case 'pull':
        return engine.pull({ ...asked.request, ...guest });
      case 'snapshot':
        return engine.snapshot({ ...asked.request, ...guest });
    }
  }
}

/** A strike that is late for its saga does not come. */
function strikeOf({ strike }: Order, over: AbortSignal) {
  if (strike === undefined) return undefined;
  const { moment, delayMs, victim, signal = 'SIGKILL', qemuPid } = strike;
  const kill = () => {
    say({ says: 'striking', moment });
    if (victim !== 'orchestrator') process.kill(qemuPid, 'SIGKILL');
    if (victim !== 'qemu') process.kill(process.pid, signal);
  };
  const act = () => {
    if (delayMs === 0) kill();
    else void sleep(systemClock, delayMs, over).then(() => over.aborted || kill());
  };
  return { moment, act };
}

for await (const line of createInterface({ input: process.stdin })) await obey(JSON.parse(line) as Order);
await journal.close();
