/**
 * One simulated QEMU in a process of its own, with the host's disk behind it, which outlives it: what was written stays when QEMU is
 * killed. Does what the kills ask it to by messages, and judges nothing.
 *
 *     sim-process.ts MONITOR SECOND DIRECTORY SEED
 */
import { BlocksagaError, openJournal, recoverOffline } from '../../src/index.ts';
import { type Cut, realTimeClock, virtualImages } from '../../src/sim/index.ts';
import { serveSim } from '../../src/sim/serve.ts';
import { DISKS } from './guest.ts';

export type SimRequest =
  | { readonly do: 'kill' }
  | { readonly do: 'files' }
  | { readonly do: 'cut' }
  | { readonly do: 'boot'; readonly fronts: readonly string[] }
  | {
      readonly do: 'recover';
      readonly journal: string;
      readonly saga: string;
      readonly acceptImages: readonly string[];
    };

const [listen = '', second = '', directory = '', seed = '1'] = process.argv.slice(2);
/** Slow enough to be killed in the middle. */
const COPY_BYTES_PER_MS = 64 * 1024;
const SIZE_BYTES = 16 * 1024 * 1024;

const { sim } = await serveSim({
  ...{ listen, second, directory, disks: DISKS, seed: Number(seed), sizeBytes: SIZE_BYTES },
  timing: { copyBytesPerMs: COPY_BYTES_PER_MS },
});

/** What is wrong with its images. In real time a guest that runs writes on while its disks are read. */
function judgeFronts(): readonly string[] {
  const wasRunning = sim.world.running;
  if (wasRunning) sim.world.inject('stop');
  const cut = sim.world.cutOfFronts();
  const { acknowledged } = sim.world.guest;
  if (wasRunning) sim.world.inject('cont');
  return wrongIn(cut, acknowledged);
}

/** A SIGKILL loses nothing that the guest was told was done. The guest writes on from there. */
function boot(fronts: readonly string[]): readonly string[] {
  const wrong = wrongIn(sim.world.cutOfFiles(fronts), sim.world.guest.acknowledged);
  sim.restart(
    fronts.map(path => ({ path, format: 'qcow2' as const })),
    { writesOn: true },
  );
  return wrong;
}

function wrongIn({ why, upTo }: Cut, acknowledged: number): readonly string[] {
  return [
    ...(why === undefined ? [] : [`the images are no instant: ${why}`]),
    ...(upTo >= acknowledged ? [] : [`the images go up to write ${upTo} of ${acknowledged}`]),
  ];
}

async function answer(request: SimRequest): Promise<unknown> {
  if (request.do === 'files') return [...sim.world.host.files.keys()];
  if (request.do === 'cut') return judgeFronts();
  if (request.do === 'kill') return sim.kill();
  if (request.do === 'boot') return boot(request.fronts);
  const journal = openJournal(request.journal);
  try {
    return await recoverOffline(journal, request.saga, {
      acceptImages: request.acceptImages,
      ...{ clock: realTimeClock, files: sim.files, images: virtualImages(sim), qemu: 'dead' },
    });
  } finally {
    await journal.close();
  }
}

process.on('message', ({ id, request }: { readonly id: number; readonly request: SimRequest }) => {
  answer(request).then(
    told => process.send?.({ id, told }),
    error =>
      process.send?.(
        error instanceof BlocksagaError ? { id, refused: error.toJSON() } : { id, error: String(error) },
      ),
  );
});
process.once('disconnect', () => process.exit(0));
process.send?.({ id: 0 });
