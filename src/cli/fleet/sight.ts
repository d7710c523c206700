/** What the page asks a fleet for: its hosts, and what is stuck at its Restate. Hosts are told also where the latter is not known. */
import { BlocksagaError } from '../../errors.ts';
import { type Fleet, HOSTS_ASKED, STUCK_ASKED } from './ask.ts';
import { type HostTold, hostsTold, type StuckTold, stuckTold } from './told.ts';

interface Sight {
  readonly hosts: readonly HostTold[];
  readonly stuck: readonly StuckTold[] | null;
}

export function sightOf(fleet: Fleet): (signal: AbortSignal) => Promise<Sight> {
  return async signal => {
    const [hosts, stuck] = await Promise.all([
      fleet.ask(HOSTS_ASKED, undefined, hostsTold, signal),
      fleet.ask(STUCK_ASKED, undefined, stuckTold, signal).catch(nullIfRefused),
    ]);
    return { hosts, stuck };
  };
}

function nullIfRefused(error: unknown): null {
  if (error instanceof BlocksagaError) return null;
  throw error;
}
