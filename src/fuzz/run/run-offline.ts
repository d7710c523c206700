/**
 * Runs a commit of a stopped guest's images, without any QEMU: processes of the orchestrator and their deaths, changes
 * to images that fail, power cuts, and after that a world without faults in which it is resumed. Then a QEMU is started
 * on what the saga names. It reports what happened and judges nothing.
 */
import { startOfflineCommit } from '../../engine/offline-commit/commit-offline.ts';
import { recoverOffline } from '../../engine/recovery/recover-offline.ts';
import type { SagaResult } from '../../engine/running/result.ts';
import { BlocksagaError, type ErrorRecord } from '../../errors.ts';
import { type MemoryJournalState, memoryJournal } from '../../journal/memory.ts';
import { sleep } from '../../qmp/clock.ts';
import { createSim, type Sim } from '../../sim/create-sim.ts';
import { createVirtualClock } from '../../sim/host/virtual-clock.ts';
import { virtualImages } from '../../sim/virtual-images.ts';
import { type Account, crashText, type Happening, refusalOf } from '../account/account.ts';
import { createMortal, type Mortal } from '../account/mortal.ts';
import { prepare } from '../account/prepare.ts';
import { takeSight } from '../account/sight.ts';
import type { OrchestratorDeath, Scenario } from '../scenario/scenario.ts';
import type { WishOf } from '../scenario/wish.ts';
import { DIRECTORY } from '../scenario/wish-files.ts';
import { commitOfflineRequestOf, SAGA } from '../scenario/wish-request.ts';
import { type ImageTrouble, troubledImages } from './image-trouble.ts';
import { bootOf } from './recover.ts';
import { Watch } from './watch.ts';

const EVENTS_MAX = 50_000;
const CALM_RUNS_MAX = 3;
const REVIVAL_MS = 20;
const WARM_UP_MS = 3;

type OfflineScenario = Scenario & { readonly wish: WishOf<'commitOffline'> };

/** What a process came to. */
interface End {
  readonly refusal?: ErrorRecord;
  readonly result?: SagaResult;
  readonly error?: ErrorRecord;
}

/** Runs it on a guest that has written and is shut down first. */
export async function runOffline(
  scenario: OfflineScenario,
  tell: ((happening: Happening) => void) | undefined,
): Promise<Account> {
  const sim = createSim({
    ...scenario.guest,
    directory: DIRECTORY,
    seed: scenario.seed,
    clock: createVirtualClock({ promisesOnly: true }),
    timing: scenario.pace,
  });
  await sim.advance(WARM_UP_MS);
  prepare(sim, scenario);
  const run = new OfflineRun(sim, scenario, new Watch(sim, scenario, tell));
  return run.toEnd();
}

class OfflineRun {
  readonly #sim: Sim;
  readonly #scenario: OfflineScenario;
  readonly #watch: Watch;
  readonly #trouble: ImageTrouble;
  #journal: MemoryJournalState | undefined;
  #deaths = 0;

  constructor(sim: Sim, scenario: OfflineScenario, watch: Watch) {
    this.#sim = sim;
    this.#scenario = scenario;
    this.#watch = watch;
    this.#trouble = { faults: [...scenario.faults], changes: 0, strike: fault => watch.strike(fault) };
  }

  async toEnd(): Promise<Account> {
    const { clock } = this.#sim;
    const before = takeSight(this.#sim);
    shutDown(this.#sim);
    let ended: End = {};
    let atLast: End = {};
    let after = takeSight(this.#sim);
    let crash: string | undefined;
    let offline: Account['offline'];
    try {
      ended = await clock.run(this.#underFaults(), EVENTS_MAX);
      after = takeSight(this.#sim);
      this.#trouble.faults.length = 0;
      atLast = await clock.run(this.#calm(ended), EVENTS_MAX);
      const last = takeSight(this.#sim);
      offline = this.#boot(atLast);
      return this.#account({ before, after, atLast: last, ended, last: atLast, crash, offline });
    } catch (error) {
      crash = crashText(error);
      return this.#account({ before, after, atLast: after, ended, last: atLast, crash, offline });
    }
  }

  async #underFaults(): Promise<End> {
    const { deaths, faults } = this.#scenario;
    // Any of the faults may end a process, too.
    for (let attempt = 0; attempt <= deaths.length + faults.length; attempt += 1) {
      const end = await this.#runProcess(deaths[attempt]);
      if (end !== undefined) return end;
      await sleep(this.#sim.clock, REVIVAL_MS);
    }
    throw new Error('the last process of the orchestrator has no end');
  }

  /** With no more faults: resumed until it needs no more, a few times at most. */
  async #calm(ended: End): Promise<End> {
    let end = ended;
    for (let run = 0; run < CALM_RUNS_MAX && !hasEndedWell(end); run += 1) {
      await sleep(this.#sim.clock, REVIVAL_MS);
      end = (await this.#runProcess(undefined)) ?? end;
    }
    return end;
  }

  /** One process of the orchestrator; undefined when it died. */
  async #runProcess(dies: OrchestratorDeath | undefined): Promise<End | undefined> {
    const { clock, connect, files, agent } = this.#sim;
    const journal = memoryJournal(this.#journal, { clock });
    const images = troubledImages(this.#sim, virtualImages(this.#sim), this.#trouble);
    const passage = this.#watch;
    const mortal = createMortal({
      connect,
      journal,
      clock,
      files,
      agent,
      images,
      dies,
      lingerMs: 0,
      passage,
    });
    this.#watch.begin(journal.records(SAGA));
    this.#trouble.powerCut = () => mortal.die();
    const aborted = new AbortController();
    for (const { atMs, signal } of this.#scenario.signals) {
      clock.after(atMs, () => {
        if (signal !== 'abort' || !mortal.isAlive() || aborted.signal.aborted) return;
        this.#watch.signal({ signal });
        aborted.abort();
      });
    }
    const living = this.#work(mortal, journal.saga(SAGA) !== undefined, aborted.signal);
    const end = await Promise.race([living, mortal.death]);
    living.catch(() => undefined);
    this.#journal = journal.snapshot();
    if (mortal.isAlive()) return end ?? undefined;
    this.#deaths += 1;
    this.#watch.note('the orchestrator died');
    return undefined;
  }

  async #work(mortal: Mortal, isBegun: boolean, signal: AbortSignal): Promise<End> {
    const { journal, clock, images } = mortal;
    const options = { clock, files: mortal.files ?? this.#sim.files, images, signal };
    if (isBegun) return endOf(recoverOffline(journal, SAGA, options));
    const request = commitOfflineRequestOf(this.#scenario);
    const begun = await startOfflineCommit(journal, request, options).catch(refusalOf);
    return 'refusal' in begun ? begun : endOf(begun.result);
  }

  #boot({ result, error, refusal }: End): Account['offline'] {
    if (refusal !== undefined) return undefined;
    if (result?.boot === undefined) return { result, error, asked: [], booted: undefined };
    this.#sim.restart(bootOf(this.#sim, this.#scenario.guest, result));
    return { result, error, asked: [], booted: takeSight(this.#sim) };
  }

  #account(end: {
    readonly before: Account['before'];
    readonly after: Account['after'];
    readonly atLast: Account['atLast'];
    readonly ended: End;
    readonly last: End;
    readonly crash: string | undefined;
    readonly offline: Account['offline'];
  }): Account {
    this.#watch.end();
    const { struck, unlinkedInUse, signalled } = this.#watch;
    const records = this.#journal?.sagas.find(({ row }) => row.id === SAGA)?.records ?? [];
    return {
      scenario: this.#scenario,
      before: end.before,
      after: end.after,
      atLast: end.atLast,
      refusal: end.ended.refusal,
      result: end.ended.result,
      resultAtLast: end.last.result,
      calmMs: 0,
      states: [],
      struck,
      coveredFirst: [],
      pauses: [],
      migrations: [],
      conts: [],
      ranOnNew: false,
      unlinkedInUse,
      enteredMs: new Map(),
      squatted: [],
      ...{ harmed: [], leftElsewhere: [] },
      ...{ moved: [], movedAtLast: [] },
      overwritten: [],
      openings: [],
      isRestored: false,
      crash: end.crash,
      deaths: this.#deaths,
      signalled,
      virtualMs: this.#sim.clock.now(),
      ...{ records, recordsEnded: records },
      disorder: undefined,
      told: [],
      offline: end.offline,
      shutDown: undefined,
      flushed: [],
      killedOn: [],
    };
  }
}

/** As a guest's QEMU ends that was asked to: with all of its images flushed. */
function shutDown(sim: Sim): void {
  for (const path of sim.world.host.files.keys()) sim.world.host.flush(path);
  sim.kill();
}

function hasEndedWell({ result, refusal }: End): boolean {
  return refusal !== undefined || result?.outcome === 'committed' || result?.outcome === 'rolledBack';
}

async function endOf(result: Promise<SagaResult>): Promise<End> {
  try {
    return { result: await result };
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    return { error: error.toJSON() };
  }
}
