/** A real guest, which writes in order across its disks; it is started again on the images that are named. */
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { type Cut, checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { openJournal, recoverOffline } from '../../src/index.ts';
import { DISKS, type Guest, lookBy } from './guest.ts';

const WRITES_AFTERWARDS = 4;

interface Places {
  readonly folder: string;
  /** Where moves go, those of other guests too. */
  readonly target: string;
  readonly qemu: string;
}

export async function startQemuGuest(name: string, { folder, target, qemu }: Places): Promise<Guest> {
  const directory = mkdtempSync(join(folder, `${name}-`));
  const options = { disks: DISKS, sizeBytes: 16 * 1024 * 1024, pacingUs: 20_000, directory, qemu };
  let vm: GuestVm = await startGuestVm(options);
  const files = async () => {
    const moved = (await readdir(target)).filter(file => file.includes(`-${name}-`));
    const own = (await readdir(directory)).map(file => join(directory, file));
    return [...own, ...moved.map(file => join(target, file))].sort();
  };
  return {
    ...{ name, directory, wire: undefined },
    monitor: () => vm.monitor,
    kill: () => vm.kill(),
    signal: signal => void process.kill(vm.pid, signal),
    files,
    look: async () => ({ ...(await lookBy(vm.witness.execute)), files: await files() }),
    async judgeCut({ status, chains }) {
      if (status !== 'running') return [];
      await vm.awaitWrites(WRITES_AFTERWARDS);
      await vm.witness.execute('stop');
      try {
        const acknowledged = vm.acknowledged();
        const images = chains.map(([file = '']) => ({ file }));
        const cut = await readCut(images, { shared: true });
        return [
          ...wrongIn(cut, acknowledged),
          ...(vm.errors() === 0 ? [] : [`${vm.errors()} writes of the guest failed`]),
        ];
      } finally {
        await vm.witness.execute('cont');
      }
    },
    async recover(journal, saga, acceptImages) {
      const open = openJournal(journal);
      try {
        return await recoverOffline(open, saga, { acceptImages });
      } finally {
        await open.close();
      }
    },
    async boot(fronts) {
      const images = fronts.map(file => ({ file, format: 'qcow2' as const }));
      // A SIGKILL loses nothing that the guest was told was done.
      const cut = await readCut(images);
      const wrong = wrongIn(cut, vm.acknowledged());
      const { upTo } = checkCut(cut);
      await vm[Symbol.asyncDispose]();
      vm = await startGuestVm({ ...options, images, firstSequence: upTo + 1 });
      return wrong;
    },
    async [Symbol.asyncDispose]() {
      await vm[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function wrongIn(cut: Cut, acknowledged: number): readonly string[] {
  const { consistent, why } = checkCut(cut);
  const missing = missingWrites(cut, acknowledged);
  return [
    ...(consistent ? [] : [`the images are no instant: ${why}`]),
    ...(missing.length === 0 ? [] : [`the images lack ${missing.length} acknowledged writes`]),
  ];
}
