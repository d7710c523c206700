/**
 * Notices whether a simulated guest has run on a merged or reverted disk before its saga decides to roll forward for that: what
 * it wrote there is nowhere else; and whether a third party had a chain shortened, which nothing undoes. It looks only when it is asked to, at the simulator's own state, and judges nothing.
 */
import type { Sim } from '../../sim/create-sim.ts';
import type { Qemu } from '../../sim/state/state.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { isMerge } from '../scenario/wish.ts';
import { type Asked, type NewSet, newSetsOf } from '../scenario/wish-files.ts';
import { frontsInPlace, ownFronts, takeSight } from './sight.ts';

/** The operations whose new side a guest that runs makes the only one. */
const OVERTAKEN: ReadonlySet<string> = new Set(['commit', 'revert']);
/** The steps that roll forward for it. */
const ROLL_FORWARD: ReadonlySet<string> = new Set(['commitRemainingDisks', 'commitRevert']);
/** By it jobs that are held shorten their chains. */
const SHORTENS = 'job-finalize';
/** By these a saga puts disks on their new images. */
const SWITCHES = ['job-complete', 'block-job-complete', SHORTENS, 'blockdev-reopen', 'transaction'] as const;

export class OvertakenWatch {
  /**
   * Whether the guest ran with one of the named disks on its new image, or may have, as a paused one of which a third party has put a disk
   * there before the saga would: whether it ran between two looks nothing tells. Or a third party had the chain of one shortened.
   */
  ranOnNew = false;
  /** Whether the saga has sent what shortens them. */
  #shortens = false;
  /** Whether it has sent what switches them. */
  #switches = false;
  /** What it asks for shortens chains. */
  readonly #mayShorten: boolean;
  #lengths: readonly number[] | undefined;
  readonly #sim: Sim;
  readonly #named: readonly number[];
  readonly #asked: Asked;
  #set: NewSet;
  /** Of these the old image is the new one, or was in front, below the overlay that is to go. */
  #covered: readonly number[] = [];
  #isOver: boolean;
  /** What QEMU had at the last look, and whether one of the named disks was on its new image in that. */
  #seen: { readonly qemu: Qemu | undefined; readonly isAnyOnNew: boolean } | undefined;
  /** How many writes had completed when a disk was first seen there. */
  #acknowledged: number | undefined;

  constructor(sim: Sim, { guest, wish }: Pick<Scenario, 'guest' | 'wish'>) {
    this.#sim = sim;
    this.#named = wish.named;
    this.#mayShorten = isMerge(wish);
    this.#asked = { guest, wish };
    [this.#set] = newSetsOf(this.#asked);
    this.#isOver = !OVERTAKEN.has(wish.operation);
  }

  /** The saga begins, with third parties' overlays in front of these disks. */
  begin(covered: readonly number[]): void {
    this.#covered = covered;
    [this.#set] = newSetsOf({ ...this.#asked, coveredFirst: covered });
    this.#seen = undefined;
  }

  /** The saga enters a state; what the guest does from the first one on that rolls forward is of the saga's doing. */
  enter(place: string): void {
    this.look();
    if (this.#mayShorten) this.#lengths ??= this.#chains();
    if (place === 'finalizeRest' && !this.#shortens) this.ranOnNew ||= this.#isShortened();
    if (ROLL_FORWARD.has(place)) this.#isOver = true;
  }

  /** What the saga has sent. */
  sent(verbs: readonly string[]): void {
    this.#shortens ||= verbs.includes(SHORTENS);
    this.#switches ||= SWITCHES.some(verb => verbs.includes(verb));
  }

  #chains(): readonly number[] {
    return takeSight(this.#sim).disks.map(({ chain }) => chain.length);
  }

  #isShortened(): boolean {
    return this.#chains().some((length, index) => length < (this.#lengths?.[index] ?? 0));
  }

  look(): void {
    if (this.#isOver || !this.#isAnyOnNew()) return;
    const { running, guest } = this.#sim.world;
    this.#acknowledged ??= guest.acknowledged;
    const mayHaveRun = !this.#switches;
    if (!running && guest.acknowledged === this.#acknowledged && !mayHaveRun) return;
    this.ranOnNew = true;
    this.#isOver = true;
  }

  /** Follows from what QEMU has alone, which is another object once it has changed: most looks find the same one again. */
  #isAnyOnNew(): boolean {
    const { qemu } = this.#sim.world;
    if (this.#seen === undefined || this.#seen.qemu !== qemu) {
      const own = ownFronts(this.#sim);
      const fronts = frontsInPlace(this.#sim);
      const isOnNew = (index: number) => {
        const front = this.#covered.includes(index) ? fronts[index]?.path : own[index];
        return front !== undefined && front === this.#set(index)[0];
      };
      this.#seen = { qemu, isAnyOnNew: this.#named.some(isOnNew) };
    }
    return this.#seen.isAnyOnNew;
  }
}
