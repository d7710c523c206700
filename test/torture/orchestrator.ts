/**
 * An orchestrator that can be told when to die, with the journal in the file that is its argument. It runs sagas with the engine that
 * everybody uses and a journal in a file, and kills itself, or QEMU, at the moment that it was told.
 */
import { copyFileSync, existsSync, renameSync, writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import { provedFilesOf } from '../../src/engine/connection/guest.ts';
import { definedOnly } from '../../src/errors.ts';
import {
  BlocksagaError,
  commitOffline,
  createEngine,
  localFiles,
  localImages,
  openJournal,
  recoverOffline,
  type Saga,
  type SagaResult,
} from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import { copyOf } from './endings.ts';
import { Moments } from './moments.ts';
import { operationNamed } from './operations.ts';
import type { Order, Saying } from './orders.ts';
import { requestOf } from './requests.ts';

// Most are killed, and would leave what Node has compiled to no one: it writes that when a process ends by itself.
flushCompileCache();
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
    overtaken: order.order === 'run' && operation.overtaken === true,
    lagsOnce: order.order === 'run' && operation.lagsOnce === true,
    foreign: order.foreign && { ...order.foreign, hear: answer => say({ says: 'foreign', answer }) },
    recordsAreStates: operation.request.operation === 'commitOffline',
  });
  const kept = moments.journal(journal);
  const engine = createEngine({ journal: kept });
  const files = moments.files((await provedFilesOf({ qmp: order.qmp }, order.fronts)) ?? localFiles);
  const images = moments.images(localImages);
  const guest = { qmp: moments.connect(connectSocket(order.qmp)), files };
  say({ says: 'begun' });
  try {
    const result = await run();
    say({ says: 'result', result, commands: moments.commands, moments: moments.passed });
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    say({ says: 'refused', code: error.code, message: error.message });
  } finally {
    over.abort();
  }

  async function run(): Promise<SagaResult> {
    if (order.order === 'recover') {
      const { front } = order;
      return recoverOffline(kept, order.id, { qmp: order.qmp, files, images, ...definedOnly({ front }) });
    }
    const asked = requestOf(operation, order);
    if (asked.operation === 'commitOffline') return commitOffline(kept, asked.request, { files, images });
    const saga = order.order === 'run' ? await begin(asked) : await engine.resume(order.id, guest);
    if (order.order === 'abort') return takenBack(saga);
    saga.subscribe(notice => {
      if (notice.type === 'event') moments.enter(notice.state);
    });
    const first = await saga.result;
    return first.outcome === 'ready' ? answer(saga) : first;
  }

  /** One that has ended meanwhile tells how. */
  async function takenBack(saga: Saga): Promise<SagaResult> {
    try {
      return await saga.abort();
    } catch (error) {
      if (!(error instanceof BlocksagaError) || error.code !== 'SAGA_STATE') throw error;
      return saga.ended;
    }
  }

  function begin(asked: Exclude<ReturnType<typeof requestOf>, { operation: 'commitOffline' }>) {
    switch (asked.operation) {
      case 'copy':
        return engine.copy({ ...asked.request, ...guest });
      case 'commit':
        return engine.commit({ ...asked.request, ...guest });
      case 'pull':
        return engine.pull({ ...asked.request, ...guest });
      case 'revert':
        return engine.revert({ ...asked.request, ...guest });
      case 'snapshot':
        return engine.snapshot({ ...asked.request, ...guest });
    }
  }

  /** What a saga that waits is told; before that the images below its mirrors are copied where they are to be. */
  function answer(saga: Saga): Promise<SagaResult> {
    if (operation.mirrors === 'ownChain') {
      for (const [at, { file }] of saga.plan.disks.entries()) keepCopy(file, copyOf(order.files[at] ?? ''));
    }
    return saga[operation.whenReady ?? 'pivot']();
  }

  /** Whole or not at all, and once. */
  function keepCopy(file: string, copy: string): void {
    if (existsSync(copy)) return;
    const unfinished = `${order.told}.copy`;
    copyFileSync(file, unfinished);
    renameSync(unfinished, copy);
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
