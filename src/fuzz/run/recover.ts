/**
 * What becomes of a saga whose QEMU has died: it is recovered offline, perhaps twice, and a QEMU is started on what that
 * names. Judges nothing.
 */

import type { Publisher } from '../../engine/connection/publish.ts';
import { recoverOffline } from '../../engine/recovery/recover-offline.ts';
import type { SagaResult } from '../../engine/running/result.ts';
import { BlocksagaError } from '../../errors.ts';
import { type MemoryJournalState, memoryJournal } from '../../journal/memory.ts';
import type { Sim } from '../../sim/create-sim.ts';
import { Died, virtualImages } from '../../sim/virtual-images.ts';
import type { OfflineEnd } from '../account/account.ts';
import { takeSight } from '../account/sight.ts';
import { judgeWrites } from '../laws/judge-writes.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { fileInChain, newSetsOf } from '../scenario/wish-files.ts';
import { diskName, SAGA } from '../scenario/wish-request.ts';

/** Recovers and boots; also gives what the journal holds then. */
export async function recoverAndBoot(
  sim: Sim,
  state: MemoryJournalState,
  scenario: Scenario,
  publisher: Publisher | undefined,
): Promise<{ readonly offline: OfflineEnd; readonly journal: MemoryJournalState }> {
  const { guest, offlineDeath } = scenario;
  let journal = memoryJournal(state, { clock: sim.clock });
  const recover = (stopAt: number | undefined, front?: 'old' | 'new') =>
    recoverOffline(journal, SAGA, {
      clock: sim.clock,
      files: sim.files,
      images: virtualImages(sim, stopAt),
      ...(publisher === undefined ? {} : { publisher }),
      ...(front === undefined ? {} : { front }),
    });
  // Where journal and images disagree an administrator finds out where the guest ran last, as `lastFront` knows it.
  const attempt = (stopAt?: number) =>
    recover(stopAt).catch(error => {
      if (!(error instanceof BlocksagaError && error.code === 'JOURNAL_BEHIND')) throw error;
      return recover(stopAt, lastFront(sim, scenario));
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

/**
 * The old side, unless a third party has completed a job: then the new one where the old ones lack what was acknowledged, and the new
 * ones hold more (a power cut takes from both).
 */
function lastFront(sim: Sim, scenario: Scenario): 'old' | 'new' {
  const { guest, wish, faults, restored } = scenario;
  const mayBeSwitched =
    restored !== undefined ||
    faults.some(fault => fault.kind === 'otherClient' && COMPLETES.has(fault.execute));
  const disks = Array.from({ length: guest.disks }, (_, index) => index);
  const images = new Map(
    disks.map(index => [index, sim.world.readFile(fileInChain(guest, index, 0))] as const),
  );
  const { why, upTo } = judgeWrites(images, guest.disks);
  const holdsAll = why === undefined && upTo === sim.world.guest.acknowledged;
  if (!mayBeSwitched || holdsAll) return 'old';
  const [set] = newSetsOf(scenario);
  const fronts = wish.named.map(index => [index, sim.world.readFile(set(index)[0] ?? '')] as const);
  return judgeWrites(new Map([...images, ...fronts]), guest.disks).upTo > upTo ? 'new' : 'old';
}

const COMPLETES: ReadonlySet<string> = new Set([
  'job-complete',
  'block-job-complete',
  'job-finalize',
  'block-job-finalize',
]);

/** The images of all disks of the guest: those that the saga names, and the others as they were. */
export function bootOf(sim: Sim, guest: Scenario['guest'], { boot = [] }: SagaResult) {
  return Array.from({ length: guest.disks }, (_, index) => {
    const names = [diskName(guest, index), fileInChain(guest, index, 0)];
    const named = boot.find(({ disk }) => names.includes(disk));
    const path = named?.file ?? fileInChain(guest, index, 0);
    return { path, format: sim.world.host.image(path)?.format === 'raw' ? 'raw' : 'qcow2' } as const;
  });
}
