/** A simulated guest, in a process of its own that can be stopped; its agent reaches it by a wire. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { connectWitness } from '../../src/demo/witness.ts';
import { BlocksagaError, type ErrorRecord, type SagaResult } from '../../src/index.ts';
import { type Guest, lookBy } from './guest.ts';
import type { SimRequest } from './sim-process.ts';
import { Wire } from './wire.ts';

/** Each has one of that name on a disk of its own. */
export const SIM_DIRECTORY = '/images';

interface Told {
  readonly id: number;
  readonly told?: unknown;
  readonly refused?: ErrorRecord;
  readonly error?: string;
}

export async function startSimGuest(name: string, folder: string, seed: number): Promise<Guest> {
  await using undo = new AsyncDisposableStack();
  const [monitor, second] = [join(folder, `${name}.qmp`), join(folder, `${name}.2`)];
  const directory = SIM_DIRECTORY;
  const child = fork(join(import.meta.dirname, 'sim-process.ts'), [monitor, second, directory, `${seed}`]);
  undo.defer(async () => {
    const gone = once(child, 'exit');
    if (child.exitCode === null && child.kill('SIGKILL')) await gone;
  });
  const waiting = new Map<number, (told: Told) => void>();
  let asked = 0;
  child.on('message', message => waiting.get((message as Told).id)?.(message as Told));
  await new Promise<void>((resolve, reject) => {
    waiting.set(0, () => resolve());
    child.once('exit', code => reject(new Error(`the simulator of ${name} has ended with ${code}`)));
  });
  const ask = async (request: SimRequest): Promise<unknown> => {
    asked += 1;
    const id = asked;
    const { told, refused, error } = await new Promise<Told>(resolve => {
      waiting.set(id, resolve);
      child.send({ id, request });
    });
    waiting.delete(id);
    if (refused !== undefined) throw BlocksagaError.fromRecord(refused);
    if (error !== undefined) throw new Error(error);
    return told;
  };
  const files = async () => (await ask({ do: 'files' })) as readonly string[];
  const wire = undo.use(await Wire.to({ path: monitor }));
  const stack = undo.move();
  return {
    ...{ name, directory, wire, files },
    monitor: () => `127.0.0.1:${wire.port}`,
    kill: async () => void (await ask({ do: 'kill' })),
    signal: signal => void child.kill(signal),
    async look() {
      const witness = await connectWitness(second);
      try {
        return { ...(await lookBy(witness.execute)), files: [...(await files())].sort() };
      } finally {
        witness.close();
      }
    },
    judgeCut: async () => (await ask({ do: 'cut' })) as readonly string[],
    recover: async (journal, saga, acceptImages) =>
      (await ask({ do: 'recover', journal, saga, acceptImages })) as SagaResult,
    boot: async fronts => (await ask({ do: 'boot', fronts })) as readonly string[],
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
