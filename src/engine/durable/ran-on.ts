/**
 * On which images a guest has run that a third party resumed in a pause of its saga, by the order in which QEMU tells of that and answers
 * the commands that move its disks. What an earlier process has heard is not known here. It asks nothing.
 */
export type Side = 'old' | 'new';

export type Behind = 'yes' | 'maybe' | 'no';

/** `unknown` where an earlier process may have moved the disks, or the answer to what moves them was lost. */
export type Told = Side | 'unknown';

export class RanOn {
  #side: Told;
  /** Whether it runs by now. */
  #runs = false;
  #sides: Set<Told>;
  /** What was known when a move was begun of which it is not told yet what has come. */
  #before: ReadonlySet<Told> | undefined;
  #ranSince = false;

  private constructor(side: Told, ran: readonly Told[]) {
    this.#side = side;
    this.#sides = new Set(ran);
  }

  static fromTheStop(): RanOn {
    return new RanOn('old', []);
  }

  /** Behind an earlier process: where it had run on its old images then, nothing tells whether it was resumed since. */
  static resumed(ranOnOld: boolean): RanOn {
    return new RanOn('unknown', ranOnOld ? ['old', 'unknown'] : []);
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

  has(side: Side): boolean {
    return this.#sides.has(side);
  }

  /** Whether on the new images, where those are in front. */
  get behind(): Behind {
    if (this.#sides.has('new')) return 'yes';
    return this.#sides.has('unknown') ? 'maybe' : 'no';
  }
}
