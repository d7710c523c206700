/**
 * For a process that is about to end though its sagas have not: no guest that one of them has paused or frozen stays
 * so. A saga that can still leave its pause by itself is given the time to; another one is begun again from its
 * journal, as the next process would, and told to roll back. It ends no process.
 */
import { type Clock, sleep, systemClock } from '../../qmp/clock.ts';

/** A saga of this process, as far as its guest is concerned. */
export interface HoldsGuest {
  /** Whether the guest is paused or frozen by it, or may be. */
  readonly holdsGuest: boolean;
  /** Begins it again from the journal, on a connection of its own, and rolls it back; the run before can do no more. */
  beginAgain(): Promise<HoldsGuest>;
  /** Lets go of it where it stands, unless it holds its guest, or is about to end: whether it has. */
  detach(): boolean;
}

/** How long a saga may take by itself; each thing that it does in the pause has a deadline of its own. */
const PATIENCE_MS = 20_000;
/** How long it may take when it was begun again. */
const RESCUE_MS = 20_000;
const LOOK_MS = 5;

const running = new Set<HoldsGuest>();

/** From now on the saga is one of those that {@link releaseGuests} sees to; gives what ends that. */
export function seeToGuestOf(saga: HoldsGuest): () => void {
  running.add(saga);
  return () => running.delete(saga);
}

/** The sagas so far have died with their process, which was only a simulated one: no process sees to them any more. */
export function forgetSagas(): void {
  running.clear();
}

/** Whether a saga of this process holds a guest now. */
export function areGuestsHeld(): boolean {
  return [...running].some(({ holdsGuest }) => holdsGuest);
}

/**
 * Resolves when no saga of this process holds its guest any more, at once where none does; within 40 seconds in any case.
 * For handlers of `uncaughtException` and of signals, in front of `process.exit`. Never rejects.
 *
 * @example
 * ```ts
 * process.on('uncaughtException', error => {
 *   console.error(error);
 *   void releaseGuests().then(() => process.exit(70));
 * });
 * ```
 */
export async function releaseGuests(clock: Clock = systemClock): Promise<void> {
  await isOver(areGuestsHeld, PATIENCE_MS, clock);
  const stuck = [...running].filter(({ holdsGuest }) => holdsGuest);
  await Promise.all(stuck.map(saga => beginAgain(saga, clock)));
}

async function beginAgain(saga: HoldsGuest, clock: Clock): Promise<void> {
  try {
    const again = await saga.beginAgain();
    await isOver(() => again.holdsGuest, RESCUE_MS, clock);
  } catch {
    // Its journal cannot be written, or another process has it: the next resume sees to the guest.
  }
}

async function isOver(holds: () => boolean, withinMs: number, clock: Clock): Promise<void> {
  const deadlineMs = clock.now() + withinMs;
  while (holds() && clock.now() < deadlineMs) await sleep(clock, LOOK_MS);
}
