/** Real time as simulators take it, for programs in which nothing drives a virtual one. */
import { systemClock } from '../../qmp/clock.ts';
import type { VirtualClock } from './virtual-clock.ts';

/**
 * Time that passes by itself: a simulator on it is as slow as a QEMU, and promises settle without `sim.run`.
 *
 * @example
 * ```ts
 * const sim = createSim({ clock: realTimeClock, disks: 1 });
 * const client = await openQmpClient(sim.connect);
 * console.log((await client.execute('query-status')).running); // true
 * ```
 */
export const realTimeClock: VirtualClock = {
  ...systemClock,
  run: promise => promise,
  advance: ms => new Promise(resolve => systemClock.after(ms, () => resolve())),
  pending: 0,
  unawaited: callback => void systemClock.after(0, callback),
};
