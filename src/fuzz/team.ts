/** Who runs blocks of seeds: this thread, or several others. Decides nothing about the blocks. */
import type { Worker } from 'node:worker_threads';
import { startThread } from '../package/contents.ts';
import { type BlockOrder, type BlockResult, runBlock } from './block.ts';

/** Runs one block at a time. */
type Member = (order: BlockOrder) => Promise<BlockResult>;

export interface Team {
  readonly members: readonly Member[];
  end(): Promise<void>;
}

/**
 * A saga leaves megabytes behind that die with it: with room for many sagas nearly nothing survives until the next
 * collection, which then costs little.
 */
const YOUNG_MB = 128;

/** This thread alone. */
export function soloist(): Team {
  return { members: [runBlock], end: async () => undefined };
}

/** So many threads. */
export function threads(jobs: number): Team {
  const workers = Array.from({ length: jobs }, startMember);
  return {
    members: workers.map(worker => order => runIn(worker, order)),
    end: async () => {
      await Promise.all(workers.map(worker => worker.terminate()));
    },
  };
}

function startMember(): Worker {
  return startThread('block-thread', import.meta.url, {
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
}

function runIn(worker: Worker, order: BlockOrder): Promise<BlockResult> {
  const { promise, resolve, reject } = Promise.withResolvers<BlockResult>();
  const gone = (status: number) =>
    reject(new Error(`a thread of the fuzzer has ended with status ${status}`));
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', gone);
  worker.postMessage(order);
  return promise.finally(() => {
    worker.off('message', resolve);
    worker.off('error', reject);
    worker.off('exit', gone);
  });
}
