/** What begins as a saga comes to a step for the first time: the faults from there on, and the copies of chains that it is to stand on. */

import type { Sim } from '../../sim/create-sim.ts';
import { copyChains } from '../account/prepare.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { forgetsJobs } from '../scenario/since.ts';
import type { LiveWish } from '../scenario/wish-request.ts';
import type { Watch } from './watch.ts';

export class Arming {
  readonly #sim: Sim;
  readonly #scenario: Scenario & { readonly wish: LiveWish };
  readonly #watch: Watch;
  readonly #been = new Set<string>();

  constructor(sim: Sim, scenario: Scenario & { readonly wish: LiveWish }, watch: Watch) {
    this.#sim = sim;
    this.#scenario = scenario;
    this.#watch = watch;
  }

  enter(place: string, withFaults: boolean): void {
    if (this.#been.has(place)) return;
    this.#been.add(place);
    const copied = forgetsJobs(this.#scenario.guest) ? 'mirrorDisks' : 'standOnBases';
    if (place === copied) copyChains(this.#sim, this.#scenario, this.#watch.covered);
    if (!withFaults) return;
    for (const fault of this.#scenario.faults) if (fault.from === place) this.#sim.armFault(fault);
  }
}
