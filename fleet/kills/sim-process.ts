/**
 * One simulated QEMU in a process of its own, with the host's disk behind it, which outlives it: what was written stays when QEMU is
 * killed. Does what the kills ask it to by messages, and judges nothing.
 *
 *     sim-process.ts MONITOR SECOND DIRECTORY SEED
 */
import { openJournal, recoverOffline } from '../../src/index.ts';
import { realTimeClock, virtualImages } from '../../src/sim/index.ts';
import { serveSim } from '../../src/sim/serve.ts';
import { DISKS } from './guest.ts';

export type SimRequest =
  | { readonly do: 'kill' }
  | { readonly do: 'files' }
  | { readonly do: 'cut' }
  | { readonly do: 'boot'; readonly fronts: readonly string[] }
  | { readonly do: 'recover'; readonly journal: string; readonly saga: string };

const [listen = '', second = '', directory = '', seed = '1'] = process.argv.slice(2);
/** Slow enough to be killed in the middle. */
const COPY_BYTES_PER_MS = 64 * 1024;
const SIZE_BYTES = 16 * 1024 * 1024;

const { sim } = await serveSim({
  ...{ listen, second, directory, disks: DISKS, seed: Number(seed), sizeBytes: SIZE_BYTES },
  timing: { copyBytesPerMs: COPY_BYTES_PER_MS },
});

/** In real time a guest that runs writes on while its disks are read. */
function cutOfFronts(): unknown {
  const wasRunning = sim.world.running;
  if (wasRunning) sim.world.inject('stop');
  const cut = sim.world.cutOfFronts();
  if (wasRunning) sim.world.inject('cont');
  return cut;
}

async function answer(request: SimRequest): Promise<unknown> {
  if (request.do === 'files') return [...sim.world.host.files.keys()];
  if (request.do === 'cut') return cutOfFronts();
  if (request.do === 'kill') return sim.kill();
  if (request.do === 'boot')
    return sim.restart(request.fronts.map(path => ({ path, format: 'qcow2' as const })));
  const journal = openJournal(request.journal);
  try {
    return await recoverOffline(journal, request.saga, {
      ...{ clock: realTimeClock, files: sim.files, images: virtualImages(sim), qemu: 'dead' },
    });
  } finally {
    await journal.close();
  }
}

process.on('message', ({ id, request }: { readonly id: number; readonly request: SimRequest }) => {
  answer(request).then(
    told => process.send?.({ id, told }),
    error => process.send?.({ id, error: String(error) }),
  );
});
process.once('disconnect', () => process.exit(0));
process.send?.({ id: 0 });
