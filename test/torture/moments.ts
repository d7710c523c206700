/**
 * The moments at which an orchestrator may be struck: every state that it enters, every command that it sends, every
 * answer that it gets, every file that it touches and every record that it writes, each before and after. Wraps the ports
 * through which the engine reaches the world; decides nothing itself but tells of each moment, in order.
 */
import type { Files, Images, Journal, NewRecord } from '../../src/index.ts';
import type { Connect, Json, Transport } from '../../src/qmp/transport.ts';
import { isOfCount } from '../../src/sim/state/of-count.ts';
import { bendAt, lagging } from './bend.ts';
import { actOnFile } from './file-acts.ts';
import type { Bend } from './operation.ts';
import type { Foreign } from './orders.ts';

const THIRD_PARTY = 'thirdParty';
const PAUSED = 'switching.';
const BACKING_OFF = 'switching.backingOff';

/** What is to happen to one orchestrator. */
export interface MomentsOptions {
  /** Done at the moment of this name, and there exactly. */
  readonly strike?: { readonly moment: string; readonly act: () => void } | undefined;
  readonly bend?: Bend | undefined;
  /** Before the second disk is switched a third party resumes the guest, and cancels its job. */
  readonly overtaken?: boolean;
  /** In the first pause every mirror has something left to copy, whatever QEMU says. */
  readonly lagsOnce?: boolean;
  /** What a third party sends right before a command, and who hears the answers. */
  readonly foreign?: (Foreign & { readonly hear: (answer: Json) => void }) | undefined;
  /** A saga without a machine is in the state that its last record names. */
  readonly recordsAreStates?: boolean;
}

/** Names moments `state/kind/what/nth`, where nth counts the same kind and what in that state. */
export class Moments {
  readonly #strike: MomentsOptions['strike'];
  readonly #bend: Bend | undefined;
  readonly #recordsAreStates: boolean;
  readonly #foreign: MomentsOptions['foreign'];
  #overtaken: boolean;
  #completed = 0;
  #lags: boolean;
  readonly #counts = new Map<string, number>();
  #bent = 0;
  #state = 'beginning';
  /** How many commands were sent. */
  commands = 0;
  /** All moments that have come, in order. */
  readonly passed: string[] = [];

  constructor(options: MomentsOptions) {
    const { strike, bend, overtaken = false, lagsOnce = false, recordsAreStates = false } = options;
    this.#overtaken = overtaken;
    this.#lags = lagsOnce;
    this.#strike = strike;
    this.#bend = bend;
    this.#recordsAreStates = recordsAreStates;
    this.#foreign = options.foreign;
  }

  enter(state: string): void {
    this.#state = state;
    if (state === BACKING_OFF) this.#lags = false;
    this.#reach('enter', 'it');
  }

  connect(open: Connect): Connect {
    return async handlers => {
      const names = new Map<Json, string>();
      const transport: Transport = await open({
        onMessage: message => {
          if (member(message, 'id') === THIRD_PARTY) {
            this.#foreign?.hear(message);
            return;
          }
          const name = names.get(member(message, 'id'));
          if (name !== undefined) this.#reach('answered', name);
          handlers.onMessage(this.#lags && this.#state.startsWith(PAUSED) ? lagging(message) : message);
        },
        onClose: reason => handlers.onClose(reason),
      });
      return {
        send: messages => {
          let waiting: Json[] = [];
          const flush = () => {
            if (waiting.length > 0) transport.send(waiting);
            waiting = [];
          };
          for (const message of messages) {
            const given = (name: string) => member(member(message, 'arguments'), name);
            // It goes in front of a change, in the same write: what counts is between that one and others.
            const name = String(member(message, 'execute'));
            if (
              isOfCount(name, { path: given('path'), id: given('id'), 'command-line': given('command-line') })
            ) {
              waiting.push(message);
              continue;
            }
            names.set(member(message, 'id'), name);
            this.#reach('unsent', name, flush);
            waiting.push(...this.#foreignAt(this.passed.at(-1)), ...this.#thirdParties(name, message));
            waiting.push(this.#bendIf(name, message));
            this.commands += 1;
            this.#reach('sent', name, flush);
          }
          flush();
        },
        close: () => transport.close(),
      };
    };
  }

  files(files: Files): Files {
    const around = this.#aroundFile;
    const { removeUnfinished } = files;
    return {
      ...files,
      createExclusive: (...args) => around('createExclusive', () => files.createExclusive(...args)),
      unlink: (path, identity) => around('unlink', () => files.unlink(path, identity)),
      syncDirectory: path => around('syncDirectory', () => files.syncDirectory(path)),
      ...(removeUnfinished && {
        removeUnfinished: (...args) => around('removeUnfinished', () => removeUnfinished.apply(files, args)),
      }),
    };
  }

  images(images: Images): Images {
    const around = this.#aroundFile;
    return {
      inFlightMs: images.inFlightMs,
      look: image => images.look(image),
      ...(images.overlaysIn === undefined ? {} : { overlaysIn: images.overlaysIn.bind(images) }),
      compare: (image, other) => images.compare(image, other),
      whyNotWritable: image => images.whyNotWritable(image),
      createOverlay: (...args) => around('createOverlay', () => images.createOverlay(...args)),
      commitOverlay: image => around('commitOverlay', () => images.commitOverlay(image)),
      commitInto: (...args) => around('commitInto', () => images.commitInto(...args)),
      pointAt: (...args) => around('pointAt', () => images.pointAt(...args)),
      copyInto: (...args) => around('copyInto', () => images.copyInto(...args)),
      pullInto: (...args) => around('pullInto', () => images.pullInto(...args)),
      setAside: file => around('setAside', () => images.setAside(file)),
    };
  }

  readonly #aroundFile = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
    this.#reach('unfiled', what);
    const value = await act();
    this.#reach('filed', what);
    return value;
  };

  journal(journal: Journal): Journal {
    const around = async (what: string, act: () => Promise<void>) => {
      this.#reach('unwritten', what);
      await act();
      this.#reach('written', what);
    };
    const aroundNow = <T>(what: string, act: () => T): T => {
      this.#reach('unwritten', what);
      const value = act();
      this.#reach('written', what);
      return value;
    };
    const kinds = (records: readonly { readonly kind: string }[]) =>
      records.map(record => record.kind).join('+');
    const { renew, release, forget, standing, accept } = journal;
    return {
      ...(renew && { renew: renewals => around('renew', () => renew.call(journal, renewals)) }),
      ...(release && { release: lease => around('release', () => release.call(journal, lease)) }),
      ...(forget && { forget: () => forget.call(journal) }),
      ...(standing && { standing: saga => standing.call(journal, saga) }),
      ...(accept && { accept: saga => aroundNow('accept', () => accept.call(journal, saga)) }),
      begin: saga => aroundNow('begin', () => journal.begin(saga)),
      takeOver: (id, options) => aroundNow('takeOver', () => journal.takeOver(id, options)),
      confirm: lease => journal.confirm(lease),
      append: (lease, records, options) => {
        this.#enterBy(records);
        return around(kinds(records), () => journal.append(lease, records, options));
      },
      appendSync: (lease, records) => {
        this.#enterBy(records);
        return aroundNow(kinds(records), () => journal.appendSync(lease, records));
      },
      end: (lease, state, result) => {
        if (this.#recordsAreStates) this.enter(state);
        return around('end', () => journal.end(lease, state, result));
      },
      ask: (id, signal, value) => journal.ask(id, signal, value),
      listen: (id, afterSeq, heard) => journal.listen(id, afterSeq, heard),
      saga: id => journal.saga(id),
      sagas: filter => journal.sagas(filter),
      records: id => journal.records(id),
      close: () => journal.close(),
    };
  }

  #enterBy(records: readonly NewRecord[]): void {
    if (!this.#recordsAreStates) return;
    for (const { kind, step, body } of records) {
      const disk = member(member(body, 'observed'), 'disk');
      if (kind === 'intent') this.enter(disk === null ? step : `${step} ${disk}`);
      if (kind === 'decision') this.enter('decision');
    }
  }

  /** `flush` is called before a strike only, so that what was sent until then has left: else writes stay as they are. */
  #reach(kind: string, what: string, flush: () => void = () => undefined): void {
    const name = `${this.#state}/${kind}/${what}`;
    const nth = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, nth);
    const moment = `${name}/${nth}`;
    this.passed.push(moment);
    if (this.#strike?.moment !== moment) return;
    flush();
    this.#strike.act();
  }

  #foreignAt(moment: string | undefined): readonly Json[] {
    if (this.#foreign === undefined || this.#foreign.moment !== moment) return [];
    if (this.#foreign.act !== undefined) this.#foreign.hear(actOnFile(this.#foreign.act));
    return this.#foreign.messages.map(message => ({ ...message, id: THIRD_PARTY }));
  }

  /** What a third party says right before this command. */
  #thirdParties(name: string, message: Json): readonly Json[] {
    if (!this.#overtaken || name !== 'job-complete') return [];
    this.#completed += 1;
    if (this.#completed !== 2) return [];
    const job = member(member(message, 'arguments'), 'id');
    return [
      { execute: 'cont', id: THIRD_PARTY },
      { execute: 'job-cancel', arguments: { id: job }, id: THIRD_PARTY },
    ];
  }

  #bendIf(name: string, message: Json): Json {
    if (this.#bend === undefined || !this.#bend.commands.includes(name)) return message;
    this.#bent += 1;
    const { nth, onward = false, path } = this.#bend;
    const isMeant = onward ? this.#bent >= nth : this.#bent === nth;
    if (!isMeant) return message;
    return bendAt(message, path.length === 0 ? ['execute'] : ['arguments', ...path]);
  }
}

function member(message: Json, name: string): Json {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return null;
  return (message as { readonly [key: string]: Json })[name] ?? null;
}
