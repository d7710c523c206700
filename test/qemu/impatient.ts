/** For tests of an agent that never answers. */
import { type Clock, systemClock } from '../../src/qmp/clock.ts';

/** Deadlines count silence by the second (patience.ts): here five in one, and the agent's 20 s are over in 4. */
export const impatient: Clock = {
  ...systemClock,
  after: (ms, callback) => systemClock.after(ms === 1_000 ? 200 : ms, callback),
};
