/**
 * Runs one scenario from the request to the end, on virtual time: processes of the orchestrator and their deaths, faults, signals,
 * and after that a world without faults in which what was left open is resumed. It reports what happened and judges nothing.
 */
import type { Engine } from '../../engine/api.ts';
import { createEngine } from '../../engine/engine.ts';
import { forgetSagas } from '../../engine/running/last-resort.ts';
import type { Saga } from '../../engine/running/saga.ts';
import { definedOnly } from '../../errors.ts';
import type { MemoryJournal } from '../../journal/memory.ts';
import { sleep } from '../../qmp/clock.ts';
import { createSim, type Sim } from '../../sim/create-sim.ts';
import { createVirtualClock } from '../../sim/host/virtual-clock.ts';
import { virtualImages } from '../../sim/virtual-images.ts';
import {
  type Account,
  crashText,
  type Happening,
  type OfflineEnd,
  placeOf,
  refusalOf,
} from '../account/account.ts';
import { HostView } from '../account/host-view.ts';
import { createMortal } from '../account/mortal.ts';
import { prepare } from '../account/prepare.ts';
import type { End, Reached } from '../account/process.ts';
import { countedFrom } from '../account/recorded.ts';
import { type Sight, takeSight } from '../account/sight.ts';
import type { OrchestratorDeath, Scenario } from '../scenario/scenario.ts';
import { DIRECTORY } from '../scenario/wish-files.ts';
import { type LiveWish, SAGA, submit } from '../scenario/wish-request.ts';
import { Administrator } from './administrator.ts';
import { Arming } from './arming.ts';
import { commitWhatIsAskedFor } from './commit-theirs.ts';
import { type Onlooker, pacedBy, Sightings } from './onlooker.ts';
import { pivotReady } from './pivot-ready.ts';
import { putBackWhatIsAskedFor } from './put-back.ts';
import { recoverAndBoot } from './recover.ts';
import { KeptJournal } from './restored-journal.ts';
import { runOffline } from './run-offline.ts';
import { ToldPublisher } from './told-publisher.ts';
import { Watch } from './watch.ts';

/** A run that needs more events than this will not end. */
const EVENTS_MAX = 400_000;
/** How often a saga is resumed when nothing goes wrong any more. */
const CALM_RESUMES_MAX = 3;
const WARM_UP_MS = 3;
const REVIVAL_MS = 20;
const SETTLING_MS = 2;
/** An administrator takes longer than a saga goes without noting that its disks are watched. */
const RESTORING_MS = 13_000;
/** What a saga says that does not know what to do with its QEMU. */
const GIVES_UP: ReadonlySet<string> = new Set(['JOURNAL_BEHIND', 'QEMU_REPLACED']);

/** Runs it; `tell` hears of everything that happens, and `onlooker` watches it. Never throws for what the engine does. */
export async function runScenario(scenario: Scenario, tell?: Tell, onlooker?: Onlooker): Promise<Account> {
  const { wish } = scenario;
  if (wish.operation === 'commitOffline') return runOffline({ ...scenario, wish }, tell);
  const account = await new Run({ ...scenario, wish }, tell, onlooker).toEnd();
  forgetSagas();
  return account;
}

type Tell = (happening: Happening) => void;
type LiveScenario = Scenario & { readonly wish: LiveWish };

class Run {
  readonly #scenario: LiveScenario;
  readonly #sim: Sim;
  readonly #watch: Watch;
  #view: HostView | undefined;
  readonly #arming: Arming;
  readonly #onCommit: ToldPublisher;
  readonly #kept: KeptJournal;
  #deaths = 0;
  readonly #sightings: Sightings;
  readonly #administrator: Administrator;

  constructor(scenario: LiveScenario, tell: Tell | undefined, onlooker: Onlooker | undefined) {
    this.#scenario = scenario;
    this.#sim = createSim({
      ...scenario.guest,
      directory: DIRECTORY,
      seed: scenario.seed,
      clock: createVirtualClock({ promisesOnly: true, ...pacedBy(onlooker) }),
      timing: scenario.pace,
      faults: scenario.faults.filter(fault => fault.from === undefined),
      onFault: (fault, place) => this.#watch?.strike(fault, place),
    });
    this.#watch = new Watch(this.#sim, scenario, tell);
    this.#arming = new Arming(this.#sim, scenario, this.#watch);
    this.#sightings = new Sightings(this.#sim.clock);
    onlooker?.sees(() => this.#sightings.look());
    this.#kept = new KeptJournal(scenario, this.#watch);
    this.#onCommit = new ToldPublisher(scenario, () => this.#administrator.isDone);
    this.#administrator = new Administrator({
      clock: this.#sim.clock,
      note: signal => this.#watch.signal(signal),
      journal: () => this.#kept.state,
    });
  }

  async toEnd(): Promise<Account> {
    const sim = this.#sim;
    const { clock } = sim;
    await sim.advance(WARM_UP_MS);
    prepare(sim, this.#scenario);
    this.#view = new HostView(sim, this.#scenario);
    const before = takeSight(sim);
    let ended: End = {};
    let atLast: End = {};
    let after = before;
    let last = before;
    let [offline, shutDown]: (OfflineEnd | undefined)[] = [];
    let crash: string | undefined;
    let movedAtLast: Account['movedAtLast'] = [];
    let calmMs = 0;
    let recordsEnded: Account['recordsEnded'] = [];
    try {
      this.#administrator.schedule(this.#scenario.signals);
      ended = await clock.run(this.#underFaults(), EVENTS_MAX);
      this.#administrator.isDone = true;
      await sim.advance(SETTLING_MS);
      after = this.#watch.sight();
      sim.endFaults();
      recordsEnded = this.#kept.records;
      const isPutBack = ended.refusal === undefined && this.#kept.putBack(Number.POSITIVE_INFINITY);
      if (isPutBack) await sim.advance(RESTORING_MS);
      const calmFromMs = clock.now();
      const isOpen = isPutBack || ended.result?.outcome === 'needsRecovery';
      atLast = isOpen ? await clock.run(this.#calm(ended, isPutBack), EVENTS_MAX) : ended;
      calmMs = clock.now() - calmFromMs;
      await sim.advance(SETTLING_MS);
      last = atLast === ended ? after : this.#watch.sight();
      movedAtLast = this.#view.moved;
      if (!sim.world.alive) offline = await clock.run(this.#offline(after), EVENTS_MAX);
      else if (atLast.result?.outcome === 'needsRecovery')
        shutDown = await clock.run(this.#shutDown(last), EVENTS_MAX);
    } catch (error) {
      crash = crashText(error);
    }
    this.#watch.end();
    const kept = this.#kept.state?.sagas.find(({ row }) => row.id === SAGA);
    return {
      scenario: this.#scenario,
      ...definedOnly({ row: kept?.row, endedMs: this.#kept.endedMs }),
      ...{ before, after, atLast: last },
      refusal: ended.refusal,
      result: ended.result,
      resultAtLast: atLast.result,
      calmMs,
      states: this.#watch.states,
      struck: this.#watch.struck,
      enteredMs: this.#watch.enteredMs,
      coveredFirst: countedFrom(this.#watch.covered, kept?.row),
      pauses: this.#watch.pauses.pauses,
      migrations: this.#watch.migration.migrations,
      conts: this.#watch.migration.conts,
      ranOnNew: this.#watch.overtaken.ranOnNew,
      unlinkedInUse: this.#watch.unlinkedInUse,
      ...{ squatted: this.#view.squatted, harmed: this.#view.harmed },
      leftElsewhere: this.#view.leftElsewhere,
      ...{ moved: this.#view.moved, movedAtLast, overwritten: this.#view.overwritten },
      openings: this.#watch.names.openings,
      isRestored: this.#kept.isRestored,
      crash: crash ?? this.#administrator.crash,
      deaths: this.#deaths,
      signalled: this.#watch.signalled,
      virtualMs: clock.now(),
      ...{ records: kept?.records ?? [], recordsEnded },
      disorder: this.#watch.disorder,
      told: this.#onCommit.told,
      ...{ offline, shutDown },
      ...{ flushed: this.#watch.flushed, killedOn: this.#watch.killed?.disks ?? [] },
    };
  }

  /** One process after the other, until one gets to the end. */
  async #underFaults(): Promise<End> {
    for (const death of [...this.#scenario.deaths, undefined]) {
      const end = await this.#runProcess(death, (engine, guest) => this.#submitOrResume(engine, guest));
      if (end !== undefined) return end;
      await sleep(this.#sim.clock, this.#kept.putBack(this.#deaths) ? RESTORING_MS : REVIVAL_MS);
    }
    throw new Error('the last process of the orchestrator has no end');
  }

  /** With no more faults: resumed until it needs no more, a few times at most. */
  async #calm(ended: End, isPutBack: boolean): Promise<End> {
    let end = ended;
    for (let round = 0; round < CALM_RESUMES_MAX && this.#sim.world.alive; round += 1) {
      if (end.result?.outcome !== 'needsRecovery' && !(isPutBack && round === 0)) break;
      await sleep(this.#sim.clock, REVIVAL_MS);
      putBackWhatIsAskedFor(this.#sim, end.result);
      await commitWhatIsAskedFor(this.#sim, end.result, ms => sleep(this.#sim.clock, ms));
      end = (await this.#runProcess(undefined, (engine, guest) => engine.resume(SAGA, guest))) ?? end;
    }
    // What the journal cannot know is settled by an administrator, once the guest is shut down.
    const isLost = this.#kept.isRestored && GIVES_UP.has(end.result?.error?.code ?? '');
    if (isLost && this.#sim.world.inject('quit') !== undefined) await sleep(this.#sim.clock, REVIVAL_MS);
    return end;
  }

  /** Of a saga that no process can end: its administrator shuts the guest down, and ends it without QEMU. */
  async #shutDown(after: Sight): Promise<OfflineEnd | undefined> {
    if (this.#sim.world.inject('quit') === undefined) return undefined;
    await sleep(this.#sim.clock, REVIVAL_MS);
    return this.#offline(after);
  }

  /** Of a saga that QEMU's death has left open. */
  async #offline(after: Sight): Promise<OfflineEnd | undefined> {
    const row = this.#kept.state?.sagas.find(each => each.row.id === SAGA)?.row;
    if (row === undefined || row.state === 'committed' || row.state === 'rolledBack') return undefined;
    const { offline, journal } = await recoverAndBoot(this.#sim, this.#kept, {
      scenario: this.#scenario,
      publisher: this.#onCommit.publisher,
      after: after.alive ? after : this.#watch.killed,
      coveredFirst: countedFrom(this.#watch.covered, row),
    });
    this.#kept.state = journal;
    return offline;
  }

  /** One process of the orchestrator; undefined when it died. */
  async #runProcess(
    dies: OrchestratorDeath | undefined,
    begin: (engine: Engine, guest: Reached) => Promise<Saga>,
  ): Promise<End | undefined> {
    const sim = this.#sim;
    const journal = this.#kept.open(sim.clock);
    this.#sightings.begun(journal);
    const mortal = createMortal({
      connect: sim.connect,
      journal,
      clock: sim.clock,
      files: this.#view?.files ?? null,
      agent: sim.agent,
      images: virtualImages(sim),
      dies,
      lingerMs: this.#scenario.lingerMs,
      passage: this.#watch,
    });
    this.#administrator.process = mortal;
    this.#watch.begin(journal.records(SAGA));
    const { publisher } = this.#onCommit;
    const engine = createEngine({
      journal: mortal.journal,
      clock: mortal.clock,
      ...(publisher === undefined ? {} : { onCommit: publisher }),
    });
    const { connect: qmp, files, agent } = mortal;
    const living = this.#follow(
      (await Promise.race([begin(engine, { qmp, files, agent }).catch(refusalOf), mortal.death])) ??
        undefined,
      journal,
    );
    const end = await Promise.race([living, mortal.death]);
    living.catch(() => undefined);
    this.#administrator.saga = undefined;
    this.#kept.state = journal.snapshot();
    this.#sightings.ended(this.#kept.state);
    if (mortal.isAlive()) return end ?? undefined;
    this.#deaths += 1;
    this.#watch.note('the orchestrator died');
    return undefined;
  }

  async #follow(
    begun: Saga | ReturnType<typeof refusalOf> | undefined,
    journal: MemoryJournal,
  ): Promise<End> {
    if (begun === undefined) return {};
    if ('refusal' in begun) return this.#kept.refused(begun.refusal);
    this.#administrator.saga = begun;
    begun.subscribe(notice => {
      if (notice.type === 'event') this.#enter(notice.state);
      else if (notice.type === 'progress') this.#sightings.progress(notice);
    });
    const result = await begun.result;
    if (result.outcome !== 'ready') return { result };
    const lastMs = Math.max(0, ...this.#scenario.signals.map(signal => signal.atMs)) + WARM_UP_MS;
    if (lastMs > this.#sim.clock.now()) await sleep(this.#sim.clock, lastMs + 1 - this.#sim.clock.now());
    this.#watch.signal({ signal: 'pivot' });
    return pivotReady(begun, journal, this.#sim.clock);
  }

  #submitOrResume(engine: Engine, guest: Reached): Promise<Saga> {
    if (this.#kept.hasSaga) return engine.resume(SAGA, guest);
    return submit(engine, this.#scenario.wish, this.#scenario.guest, guest);
  }

  #enter(state: string): void {
    this.#watch.enter(state);
    const place = placeOf(state);
    this.#administrator.process?.enter(place);
    this.#arming.enter(place, !this.#administrator.isDone);
  }
}
