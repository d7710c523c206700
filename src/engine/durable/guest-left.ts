/**
 * A guest that does not run when its saga ends, in a state that was not the saga's to end: which it is, and what is
 * left to do. It only asks; a guest that its administrator paused, or that sleeps, is as it was found.
 */
import { BlocksagaError } from '../../errors.ts';
import { lookAtGuest, type Sight } from '../../guest/migration.ts';
import type { Monitor } from '../connection/monitor.ts';

/** A run state that the saga has left alone. */
export interface GuestLeft {
  /** `RunState` (qapi/run-state.json). */
  readonly status: string;
  /** For people, what is left to do. */
  readonly todo: string;
}

/** Undefined where there is nothing to tell, and where QEMU cannot be asked. */
export async function guestLeft(monitor: Monitor, foundIn?: string): Promise<GuestLeft | undefined> {
  try {
    const sight = await lookAtGuest(await monitor.client());
    const todo = todoOf(sight);
    if (todo === undefined) return undefined;
    const since =
      foundIn === sight.status ? 'it was in this state before the saga began, and throughout; ' : '';
    return { status: sight.status, todo: `${since}${todo}` };
  } catch (error) {
    if (error instanceof BlocksagaError) return undefined;
    throw error;
  }
}

/** Whether a state is one in which a guest stands for a reason of its own. */
export function isStuck(status: string): boolean {
  return LEFT_TO_DO.has(status);
}

/** What is to do about a guest that stands in such a state. */
export function todoIn(status: string): string {
  return LEFT_TO_DO.get(status) ?? '';
}

function todoOf({ status, migration }: Sight): string | undefined {
  if (status === 'postmigrate' && migration !== 'completed') {
    return `its migration is "${migration}", so it is still here: resume it with "cont", once nothing runs it elsewhere`;
  }
  return LEFT_TO_DO.get(status);
}

const RESET = 'its administrator decides: "system_reset" and "cont" start it anew';

const LEFT_TO_DO: ReadonlyMap<string, string> = new Map([
  [
    'postmigrate',
    'it was migrated away and must not be resumed here: end this QEMU, and work on its disks where it is now',
  ],
  [
    'finish-migrate',
    'a migration holds it: when that was cancelled, run "blocksaga resume", or send "cont" if it is paused',
  ],
  ['inmigrate', 'it has yet to come from another QEMU, which still has its disks'],
  ['io-error', 'a disk failed it: mend that (a full file system, a lost path), then send "cont"'],
  ['shutdown', `it has shut down: ${RESET}`],
  ['guest-panicked', `it has crashed: ${RESET}`],
  ['internal-error', `QEMU could not run it any further: ${RESET}`],
  ['watchdog', `its watchdog has stopped it: ${RESET}`],
]);
