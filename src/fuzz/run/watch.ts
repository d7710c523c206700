/**
 * Writes down what happens in a run as it happens: states, faults, pauses, what was sent and in which order, which files
 * were touched. It judges nothing and changes nothing.
 */
import { definedOnly } from '../../errors.ts';
import type { JournalRecord, NewRecord } from '../../journal/journal.ts';
import type { Json } from '../../qmp/transport.ts';
import type { Sim } from '../../sim/create-sim.ts';
import { identityOf } from '../../sim/host/virtual-files.ts';
import type { StruckPlace } from '../../sim/monitor/faults.ts';
import { type Happening, placeOf, type Struck } from '../account/account.ts';
import { MigrationWatch } from '../account/migration-watch.ts';
import type { Passage } from '../account/mortal.ts';
import { NameWatch } from '../account/name-watch.ts';
import { OvertakenWatch } from '../account/overtaken-watch.ts';
import {
  type FlushedWrite,
  flushedWrites,
  frontsInPlace,
  isNeeded,
  type Sight,
  takeSight,
} from '../account/sight.ts';
import { WireOrder } from '../laws/order.ts';
import type { PlannedFault, Scenario, Signal } from '../scenario/scenario.ts';
import { isTheirs } from '../scenario/wish-files.ts';
import { PauseWatch } from './pause-watch.ts';

type Told = Happening extends infer H ? (H extends Happening ? Omit<H, 'atMs'> : never) : never;

export class Watch implements Passage {
  readonly states: string[][] = [];
  readonly struck: Struck[] = [];
  /** The disks with a third party's overlay in front when the saga entered its first state, and that overlay. */
  covered: ReadonlyMap<number, string> | undefined;
  readonly unlinkedInUse: string[] = [];
  readonly signalled: Signal['signal'][] = [];
  /** When the saga entered each place; milliseconds since the epoch. */
  readonly enteredMs = new Map<string, number[]>();
  readonly pauses: PauseWatch;
  readonly migration: MigrationWatch;
  readonly overtaken: OvertakenWatch;
  readonly names: NameWatch;
  flushed: readonly FlushedWrite[] = [];
  /** How it was when QEMU alone was killed from outside; a power cut takes from the images, too. */
  killed: Sight | undefined;
  /** When this process asked QEMU for its disks last, and all of that write was answered. */
  #lookedAtMs: number | undefined;
  #asking: { readonly atMs: number; readonly lastId: Json } | undefined;
  disorder: string | undefined;
  #state = '';
  #verbs: readonly string[] = [];
  #order: WireOrder | undefined;
  readonly #sim: Sim;
  readonly #named: readonly number[];
  readonly #tell: ((happening: Happening) => void) | undefined;

  constructor(sim: Sim, scenario: Scenario, tell: ((happening: Happening) => void) | undefined) {
    this.#sim = sim;
    this.#tell = tell;
    this.#named = scenario.wish.named;
    this.pauses = new PauseWatch(sim);
    this.migration = new MigrationWatch(sim);
    this.overtaken = new OvertakenWatch(sim, scenario);
    this.names = new NameWatch(sim.clock);
  }

  /** A process of the orchestrator begins, with these records in the journal. */
  begin(records: readonly JournalRecord[]): void {
    this.#keepDisorder();
    this.pauses.begin();
    this.#lookedAtMs = undefined;
    this.#asking = undefined;
    this.#order = new WireOrder(records, this.#named);
    this.states.push([]);
    this.note(`process ${this.states.length} of the orchestrator`);
  }

  /** Nothing more will happen. */
  end(): void {
    this.#look();
    this.#keepDisorder();
  }

  /** All that there is now, with what this process has asked for. */
  sight(): Sight {
    return { ...takeSight(this.#sim), ...definedOnly({ lookedAtMs: this.#lookedAtMs }) };
  }

  enter(state: string): void {
    this.#state = state;
    if (this.covered === undefined) {
      this.covered = coveredIn(this.#sim);
      this.overtaken.begin([...this.covered.keys()]);
    }
    this.#look();
    const place = placeOf(state);
    this.overtaken.enter(place);
    this.enteredMs.set(place, [...(this.enteredMs.get(place) ?? []), this.#sim.clock.epochMs()]);
    this.states.at(-1)?.push(state);
    if (this.#tell === undefined) return;
    const { world } = this.#sim;
    this.#say({
      kind: 'state',
      state,
      fronts: world.fronts().map(front => front.path),
      running: world.running,
    });
  }

  strike(fault: PlannedFault, at?: StruckPlace): void {
    if (fault.kind === 'kill' && fault.what === 'qemu') this.killed = takeSight(this.#sim);
    if (fault.kind === 'kill' && fault.what === 'host') this.flushed = flushedWrites(this.#sim);
    const resumes = fault.kind === 'otherClient' && fault.execute === 'cont';
    const fronts = resumes ? this.#sim.world.fronts().map(({ path }) => path) : [];
    const atMs = this.#sim.clock.now();
    this.struck.push({ fault, at, state: this.#state, sent: this.#verbs, fronts, atMs });
    this.#say({ kind: 'struck', fault });
  }

  signal(asked: Signal): void {
    this.signalled.push(asked.signal);
    this.#say({ kind: 'signal', ...asked, came: this.#state });
  }

  note(what: string): void {
    this.#say({ kind: 'process', what });
  }

  sent(messages: readonly Json[]): void {
    this.#look();
    const verbs = messages.map(message => (message as { execute?: string }).execute ?? '');
    this.#verbs = verbs;
    if (verbs.includes('query-block'))
      this.#asking = { atMs: this.#sim.clock.now(), lastId: idOf(messages.at(-1)) };
    if (verbs.includes('stop')) this.pauses.stopSent();
    this.migration.sent(verbs);
    this.overtaken.sent(verbs);
    this.names.sent(messages);
    this.#order?.sent(messages);
    this.#say({ kind: 'sent', messages });
  }

  received(message: Json): void {
    this.#look();
    if (this.#asking !== undefined && idOf(message) === this.#asking.lastId) {
      this.#lookedAtMs = this.#asking.atMs;
      this.#asking = undefined;
    }
    this.#say({ kind: 'received', message });
  }

  recorded(records: readonly NewRecord[]): void {
    this.#order?.recorded(records);
  }

  /** A file that is unlinked must not be part of anything open, or below anything that is. */
  fileTouched(what: 'create' | 'unlink', path: string, identity?: string): void {
    this.#say({ kind: 'file', what, path });
    const isMeant = identityOf(this.#sim.world.host.files.get(path)) === identity;
    if (what === 'unlink' && isMeant && isNeeded(this.#sim, path)) this.unlinkedInUse.push(path);
  }

  fileLooked(path: string): void {
    this.names.looked(path);
  }

  #look(): void {
    this.pauses.look();
    this.migration.look();
    this.overtaken.look();
  }

  #keepDisorder(): void {
    this.disorder ??= this.#order?.wrong;
  }

  #say(told: Told): void {
    if (this.#tell !== undefined) this.#tell({ ...told, atMs: this.#sim.clock.now() } as Happening);
  }
}

/** Events have none. */
function idOf(message: Json | undefined): Json {
  return (message as { readonly id?: Json } | undefined)?.id ?? null;
}

function coveredIn(sim: Sim): ReadonlyMap<number, string> {
  return new Map(
    frontsInPlace(sim).flatMap((front, index) =>
      front !== undefined && isTheirs(front.path) ? [[index, front.path] as const] : [],
    ),
  );
}
