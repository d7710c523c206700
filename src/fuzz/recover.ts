/**
 * What becomes of a saga whose QEMU has died: it is recovered offline, perhaps twice, and a QEMU is started on what that
 * names. Judges nothing.
 */

import type { Publisher } from '../engine/publish.ts';
import { recoverOffline } from '../engine/recover-offline.ts';
import type { SagaResult } from '../engine/result.ts';
import { BlocksagaError } from '../errors.ts';
import { type MemoryJournalState, memoryJournal } from '../journal/memory.ts';
import type { Sim } from '../sim/create-sim.ts';
import type { OfflineEnd } from './account.ts';
import type { Scenario } from './scenario.ts';
import { takeSight } from './sight.ts';
import { Died, virtualImages } from './virtual-images.ts';
import { fileInChain } from './wish-files.ts';
import { diskName, SAGA } from './wish-request.ts';

/** Recovers and boots; also gives what the journal holds then. */
export async function recoverAndBoot(
  sim: Sim,
  state: MemoryJournalState,
  { guest, offlineDeath }: Scenario,
  publisher: Publisher | undefined,
): Promise<{ readonly offline: OfflineEnd; readonly journal: MemoryJournalState }> {
  let journal = memoryJournal(state, { clock: sim.clock });
  const attempt = (stopAt?: number) =>
    recoverOffline(journal, SAGA, {
      clock: sim.clock,
      files: sim.files,
      images: virtualImages(sim, stopAt),
      ...(publisher === undefined ? {} : { publisher }),
    });
  try {
    if (offlineDeath !== undefined) {
      await attempt(offlineDeath).catch(error => {
        if (!(error instanceof Died)) throw error;
      });
      journal = memoryJournal(journal.snapshot(), { clock: sim.clock });
    }
    const result = await attempt();
    const boot = bootOf(sim, guest, result);
    sim.restart(boot);
    return {
      offline: { result, error: undefined, booted: takeSight(sim) },
      journal: journal.snapshot(),
    };
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    return {
      offline: { result: undefined, error: error.toJSON(), booted: undefined },
      journal: journal.snapshot(),
    };
  }
}

/** The images of all disks of the guest: those that the saga names, and the others as they were. */
export function bootOf(sim: Sim, guest: Scenario['guest'], { boot = [] }: SagaResult) {
  return Array.from({ length: guest.disks }, (_, index) => {
    const names = [diskName(guest, index), fileInChain(guest, index, 0)];
    const named = boot.find(({ disk }) => names.includes(disk));
    const path = named?.file ?? fileInChain(guest, index, 0);
    return { path, format: sim.world.host.image(path)?.format === 'raw' ? 'raw' : 'qcow2' } as const;
  });
}
