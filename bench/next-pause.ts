/** How long a guest is paused, by QEMU's own clock. */
import type { GuestVm } from '../src/demo/guest-vm.ts';

/** Of the pause that comes next, in milliseconds, once it is over. */
export function pauseOf(vm: GuestVm): () => number {
  const from = vm.witness.events.length;
  return () => {
    const times = new Map(
      vm.witness.events
        .slice(from)
        .map(({ event, timestamp }) => [event, timestamp.seconds * 1_000 + timestamp.microseconds / 1_000]),
    );
    return (times.get('RESUME') ?? Number.NaN) - (times.get('STOP') ?? Number.NaN);
  };
}
