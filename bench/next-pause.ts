/** How long a guest is paused, by QEMU's own clock. */
import type { GuestVm } from '../src/demo/guest-vm.ts';

/** Of the pause that comes next, in milliseconds, once it is over. */
export function pauseOf(vm: GuestVm): () => number {
  const times = timesOf(vm);
  return () => times('RESUME') - times('STOP');
}

/** When the guest was stopped for it, by the clock of the host. */
export function stopOf(vm: GuestVm): () => number {
  const times = timesOf(vm);
  return () => times('STOP');
}

/** Of events from here on, the last of each name, in milliseconds. */
function timesOf({ witness }: GuestVm): (event: string) => number {
  const from = witness.events.length;
  return name => {
    const last = witness.events.slice(from).findLast(({ event }) => event === name);
    return last === undefined
      ? Number.NaN
      : last.timestamp.seconds * 1_000 + last.timestamp.microseconds / 1_000;
  };
}
