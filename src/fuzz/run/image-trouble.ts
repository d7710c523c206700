/**
 * Images whose changes take time, and fail or lose power as planned. Counts changes over all processes; judges nothing.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Images } from '../../images/images.ts';
import { sleep } from '../../qmp/clock.ts';
import type { Sim } from '../../sim/create-sim.ts';
import { changing } from '../account/mortal-images.ts';
import type { PlannedFault } from '../scenario/scenario.ts';

/** What is planned, and how far it is. */
export interface ImageTrouble {
  /** Those that have not struck. */
  readonly faults: PlannedFault[];
  changes: number;
  readonly strike: (fault: PlannedFault) => void;
  /** Kills the orchestrator that is at work. */
  powerCut?: () => void;
}

const CHANGE_MS = 1;

export function troubledImages(sim: Sim, images: Images, trouble: ImageTrouble): Images {
  return changing(images, async act => {
    await sleep(sim.clock, CHANGE_MS);
    trouble.changes += 1;
    const failsBefore = due(trouble, fault => fault.kind === 'refuse');
    if (failsBefore) throw failed('before it began');
    if (due(trouble, isPowerCut('before'))) return cutPower(sim, trouble);
    const value = await act();
    if (due(trouble, isPowerCut('after'))) return cutPower(sim, trouble);
    if (due(trouble, fault => fault.kind === 'cut')) throw failed('when all was written');
    return value;
  });
}

/** Takes out what strikes at this change. */
function due(trouble: ImageTrouble, isMeant: (fault: PlannedFault) => boolean): boolean {
  const at = trouble.faults.findIndex(fault => isMeant(fault) && nthOf(fault) === trouble.changes);
  const [fault] = at === -1 ? [] : trouble.faults.splice(at, 1);
  if (fault !== undefined) trouble.strike(fault);
  return fault !== undefined;
}

function nthOf(fault: PlannedFault): number | undefined {
  if ('nth' in fault) return fault.nth;
  return 'at' in fault && fault.at.when !== 'at' ? fault.at.nth : undefined;
}

function isPowerCut(when: 'before' | 'after'): (fault: PlannedFault) => boolean {
  return fault => fault.kind === 'kill' && fault.at.when === when;
}

function cutPower(sim: Sim, trouble: ImageTrouble): Promise<never> {
  sim.killHost();
  trouble.powerCut?.();
  return new Promise<never>(() => undefined);
}

function failed(when: string): BlocksagaError {
  return new BlocksagaError('FILES', `a change to an image failed ${when}`);
}
