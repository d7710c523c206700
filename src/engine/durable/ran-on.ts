/**
 * On which images a guest has run that a third party resumed in a pause of its saga, by the order in which QEMU tells of that and answers
 * the commands that move its disks. What an earlier process has heard is not known here. It asks nothing.
 */
export type Side = 'old' | 'new';

/** `unknown` where an earlier process may have moved the disks, or the answer to what moves them was lost. */
export type Told = Side | 'unknown';

export class RanOn {
  #side: Told;
  /** Whether it runs by now. */
  #runs = false;
  #sides = new Set<Told>();
  /** What was known when a move was begun of which it is not told yet what has come. */
  #before: ReadonlySet<Told> | undefined;
  #ranSince = false;

  constructor(side: Told) {
    this.#side = side;
  }

  resumed(): void {
    this.#runs = true;
    this.#ranSince = true;
    this.#sides.add(this.#side);
  }

  stopped(): void {
    this.#runs = false;
  }

  /** Commands are under way that move all disks, and the guest was stopped in front of them. */
  goesTo(side: Side): void {
    this.#before = new Set(this.#sides);
    this.#ranSince = false;
    this.#side = side;
  }

  /** Where the disks are: who was resumed since they began to go was there. */
  is(side: Told): void {
    const ranMeanwhile = this.#before !== undefined && this.#ranSince;
    if (this.#before !== undefined) this.#sides = new Set(this.#before);
    this.#before = undefined;
    this.#side = side;
    if (ranMeanwhile || this.#runs) this.#sides.add(side);
  }

  has(side: Told): boolean {
    return this.#sides.has(side);
  }
}
