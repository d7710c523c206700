/**
 * A run of the laboratory that a person watches while it runs: its virtual time moves on by a command, by a state, slowly, or
 * freely, and stands else. What comes of it is what an unwatched run of the same choice comes to.
 */
import { planOf } from '../engine/durable/checked-journal.ts';
import { narrate } from '../fuzz/narrate.ts';
import type { RunSight } from '../fuzz/run/onlooker.ts';
import { runScenario } from '../fuzz/run/run-scenario.ts';
import type { Scenario } from '../fuzz/scenario/scenario.ts';
import { type Clock, sleep } from '../qmp/clock.ts';
import { tellStory } from '../story/tell.ts';
import type { Act, LiveView, Move } from './lab-types.ts';
import { judged, openLights } from './run-lab.ts';

/** More than a reader reads. */
const TOLD_MAX = 400;
/** Slow motion shows a moment of virtual time for no longer than this, in real milliseconds: a wait says nothing. */
const SLOWEST_MS = 1_200;

type Going = { readonly how: 'stands' } | Move;

export class LiveRun {
  readonly #clock: Clock;
  readonly #told: string[] = [];
  #going: Going = { how: 'stands' };
  #look: () => RunSight = () => {
    throw new Error('a run says where to look before anything happens');
  };
  #over: LiveView | undefined;
  #crash: unknown;
  #lastMs = 0;
  /** What holds time still, and what lets it go on. */
  #held: PromiseWithResolvers<void> | undefined;
  #rest: PromiseWithResolvers<void> | undefined;

  constructor(scenario: Scenario, clock: Clock) {
    this.#clock = clock;
    runScenario(
      scenario,
      happening => {
        if (this.#told.length < TOLD_MAX) this.#told.push(narrate(happening));
        const isStep = happening.kind === 'sent' ? 'command' : happening.kind;
        if (this.#going.how === isStep || (happening.kind === 'struck' && this.#isStepping)) this.#stand();
      },
      {
        pace: atMs => this.#pace(atMs),
        sees: look => {
          this.#look = look;
        },
      },
    ).then(
      account => {
        const run = judged(account, this.#told);
        this.#over = { ...run, isOver: true, isMoving: false, atMs: account.virtualMs, jobs: null };
        this.#rested();
      },
      error => {
        this.#crash = error;
        this.#rested();
      },
    );
  }

  /** Does it, and gives what can be seen then: when time stands again, but of slow motion at once. */
  async act(act: Act): Promise<LiveView> {
    if (act.how === 'pause') this.#stand();
    else if (act.how !== 'look' && this.#over === undefined) await this.#move(act);
    if (this.#crash !== undefined) throw this.#crash;
    return this.#over ?? this.#now();
  }

  /** It is not looked at any more: it runs to its end by itself, which takes no time. */
  letGo(): void {
    this.#going = { how: 'free' };
    this.#held?.resolve();
  }

  async #move(move: Move): Promise<void> {
    this.#going = move;
    this.#held?.resolve();
    this.#held = undefined;
    if (move.how === 'slow') return;
    this.#rest ??= Promise.withResolvers();
    await this.#rest.promise;
  }

  /** Time stands, or the run is over: those who wait for that go on. */
  #rested(): void {
    this.#rest?.resolve();
    this.#rest = undefined;
  }

  get #isStepping(): boolean {
    return this.#going.how === 'command' || this.#going.how === 'state';
  }

  #stand(): void {
    this.#going = { how: 'stands' };
  }

  #pace(atMs: number): Promise<void> | undefined {
    const going = this.#going;
    if (going.how === 'until' && atMs > going.atMs) this.#stand();
    if (this.#going.how === 'stands') {
      this.#rested();
      this.#held ??= Promise.withResolvers();
      return this.#held.promise.then(() => this.#pace(atMs));
    }
    const since = atMs - this.#lastMs;
    this.#lastMs = atMs;
    if (going.how !== 'slow' || since <= 0) return undefined;
    return sleep(this.#clock, Math.min(SLOWEST_MS, since * going.factor)).then(() =>
      this.#going.how === 'stands' ? this.#pace(atMs) : undefined,
    );
  }

  #now(): LiveView {
    const { row, records, isRunning, atMs, epochMs, jobs } = this.#look();
    const story = row === undefined ? null : tellStory({ row, plan: planOf(row), records, isRunning });
    return {
      ...{ story, refusal: null, happened: [...this.#told], lights: openLights(), isOver: false, atMs },
      isMoving: this.#going.how !== 'stands',
      jobs: { jobs, trouble: null, atMs: epochMs },
    };
  }
}
