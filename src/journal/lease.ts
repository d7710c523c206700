/**
 * Whether the process that holds a saga may still be at work on it: by the table of processes where it can be seen, else by
 * its lease, which runs out unless it is renewed. Two clocks that differ by less than a lease do no harm: a lease that is taken
 * too early is lost by its token, and its holder writes nothing any more. It only looks.
 */
import type { Clock } from '../qmp/clock.ts';
import { systemProcesses } from './holder.ts';
import type { Processes, SagaRow } from './journal.ts';

/** For how long a lease that is not renewed is believed, in milliseconds. */
export const LEASE_MS = 20_000;
/** How often a process renews the leases of its sagas, in milliseconds; a guest's pause may put it off. */
export const RENEW_MS = 5_000;

type Held = Pick<SagaRow, 'holder' | 'renewedAtMs'>;

/** Whether the holder lives, as far as can be told. */
export function mayRun(row: Held, processes: Pick<Processes, 'isAlive'>, nowMs: number): boolean {
  return processes.isAlive(row.holder) ?? leftMs(row, nowMs) > 0;
}

/** The same of an open saga, as this process sees it. */
export function isHeldNow(row: Held, clock: Clock): boolean {
  return mayRun(row, systemProcesses(), clock.epochMs());
}

/** Whether only the lease can tell. */
export function isUnseen({ holder }: Held, processes: Pick<Processes, 'isAlive'>): boolean {
  return processes.isAlive(holder) === undefined;
}

/** What is left of the lease; one of a clock far ahead of ours has run out. */
export function leftMs({ renewedAtMs }: Held, nowMs: number): number {
  return renewedAtMs === undefined || renewedAtMs === null ? 0 : LEASE_MS - Math.abs(nowMs - renewedAtMs);
}
