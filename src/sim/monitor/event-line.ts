/** Sends QEMU's events to all monitors, with what faults do to them: lost, twice, late, or after the next one. */
import type { Clock } from '../../qmp/clock.ts';
import type { Json } from '../../qmp/transport.ts';
import type { Faults } from './faults.ts';
import type { Monitor } from './monitor.ts';

const LATE_MS = 5;

export interface EventLine {
  send(message: Json, event: string): void;
  /** QEMU is gone, and what it held back with it. */
  forget(): void;
}

export function createEventLine(
  clock: Clock,
  faults: Faults,
  monitors: ReadonlyMap<string, Monitor>,
): EventLine {
  let swapped: Json | undefined;
  const toAll = (message: Json): void => {
    for (const monitor of monitors.values()) monitor.event(message);
  };
  return {
    send(message, event) {
      const fault = faults.atEvent(event);
      if (fault?.how === 'lost') return;
      if (fault?.how === 'late') {
        clock.after(fault.delayMs ?? LATE_MS, () => toAll(message));
        return;
      }
      if (fault?.how === 'swapped') {
        swapped = message;
        return;
      }
      toAll(message);
      if (fault?.how === 'twice') toAll(message);
      const held = swapped;
      swapped = undefined;
      if (held !== undefined) toAll(held);
    },
    forget() {
      swapped = undefined;
    },
  };
}
