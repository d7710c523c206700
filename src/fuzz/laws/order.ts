/**
 * Judges the order of a saga's acts by its journal and by the wire, not by what the engine believes: one step at a time,
 * each with its intent written before its first byte, undone at most once and newest first. Pure.
 */
import { MERGED_ELSEWHERE } from '../../engine/durable/merged-elsewhere.ts';
import { RAN_ON_BOTH } from '../../engine/durable/ran-on-both.ts';
import { SEEN_ON } from '../../engine/durable/seen-on.ts';
import { UNPLUGGED } from '../../engine/durable/unplugged.ts';
import { WATCHED } from '../../engine/durable/watched.ts';
import { member } from '../../journal/body.ts';
import type { JournalRecord, NewRecord } from '../../journal/journal.ts';
import type { Json } from '../../qmp/transport.ts';
import { isOfCount } from '../../sim/state/of-count.ts';
import { ALL_STEPS } from '../../steps/all-steps.ts';
import { splitKey } from '../../steps/stages.ts';

/** Records that are no steps: that a saga was stranded, and that it was recovered without its QEMU. */
const RESCUE = 'rescueGuest';
const REENTRY = 'reenterWindow';
const OF_OFFLINE: ReadonlySet<string> = new Set(['recoverOffline', 'dropImages']);
const UNDO = 'undo.';

/** The one that carries out a signal, which belongs to no step. */
const OF_SIGNAL = 'block-job-set-speed';
/** Verbs that only ask, and that one. */
const ASKS = /^(info |query-|qom-list$|qom-get$|qmp_capabilities$|x-debug-query|block-job-set-speed$)/;
/** Verbs that no undo has any use for. */
const ONLY_DOES: ReadonlySet<string> = new Set([
  ...['blockdev-create', 'transaction', 'blockdev-snapshot-sync', 'object-add', 'guest-fsfreeze-freeze'],
]);
/** Verbs that end jobs and close nodes. */
const CLOSES: ReadonlySet<string> = new Set([
  ...['job-cancel', 'job-dismiss', 'block-job-cancel', 'blockdev-del'],
]);
/** But for these: where no drive can be set, they put committed overlays back above their bases. */
const STACKS_AGAIN = /^undo\.(.*\.)?(complete|finalize)Mirrors$/;

const REVERSIBLE: ReadonlySet<string> = new Set(
  Object.values(ALL_STEPS).flatMap(step => ('undo' in step ? [step.name] : [])),
);

/**
 * Steps whose turn in a rollback is a later one: a chain is closed when nothing is based on it any more, and `onCommit`
 * is told of the old disks once they are back.
 */
const WAITS_FOR_OLDER: ReadonlySet<string> = new Set(['openChains', 'publishOverlays']);

/** Follows one process on the wire, from what the journal held at its beginning. */
export class WireOrder {
  #open: string | undefined;
  /** The names of what a saga has in QEMU for each disk that has left. */
  readonly #left: RegExp[] = [];
  /** The first act out of order. */
  wrong: string | undefined;

  readonly #named: readonly number[];

  /** `named`: which disks of the guest the request names. */
  constructor(records: readonly JournalRecord[], named: readonly number[]) {
    this.#named = named;
    for (const record of records) this.#follow(record);
  }

  recorded(records: readonly NewRecord[]): void {
    for (const record of records) this.#follow(record);
  }

  sent(all: readonly Json[]): void {
    const messages = all.filter(message => !tellsCount(message));
    const verbs = messages.map(verbOf);
    const act = verbs.find(verb => !ASKS.test(verb));
    if (act === undefined && messages.length < all.length && !verbs.includes(OF_SIGNAL))
      this.wrong ??= 'how much of the saga is in its journal was told, and nothing was changed with it';
    if (act === undefined) return;
    if (this.#open === undefined && !messages.every(message => this.#closesWhatLeft(message)))
      this.wrong ??= `${act} was sent and the journal says of no step that it is under way`;
    const stacks = STACKS_AGAIN.test(this.#open ?? '');
    const doing = messages.find(
      message => ONLY_DOES.has(verbOf(message)) && !(stacks && putsOverlays(message)),
    );
    if (doing !== undefined && this.#open?.startsWith(UNDO))
      this.wrong ??= `${verbOf(doing)} was sent during ${this.#open}`;
  }

  /** Of disks that the journal says to have left the guest a saga closes what it has: the record says what that is for. */
  #closesWhatLeft(message: Json): boolean {
    const verb = verbOf(message);
    if (ASKS.test(verb)) return true;
    const { id, device, 'node-name': node } = { ...(member(message, 'arguments') as object) } as Named;
    return CLOSES.has(verb) && this.#left.some(stem => stem.test(id ?? device ?? node ?? ''));
  }

  #follow({ kind, step, body }: Pick<NewRecord, 'kind' | 'step' | 'body'>): void {
    if (step === UNPLUGGED) {
      const place = Number(member(member(body, 'value'), 'index'));
      this.#left.push(namesOf(place, this.#named[place] ?? place));
    }
    if (kind === 'intent') this.#open = step;
    // A next process tries again what had stranded the saga, without another intent.
    if (kind === 'outcome' && !NO_STEPS.has(plain(step)) && plain(step) !== RESCUE) this.#open = undefined;
  }
}

/** What is recorded besides steps. */
const NO_STEPS: ReadonlySet<string> = new Set([WATCHED, UNPLUGGED, SEEN_ON, MERGED_ELSEWHERE, RAN_ON_BOTH]);

interface Named {
  readonly id?: string;
  readonly device?: string;
  readonly 'node-name'?: string;
}

/** It goes along with a change, which is judged. */
function tellsCount(message: Json): boolean {
  return (
    verbOf(message) === 'qom-set' &&
    isOfCount('qom-set', { path: member(member(message, 'arguments'), 'path') })
  );
}

/** By the name of a file, or those that are open by one transaction of nothing else. */
function putsOverlays(message: Json): boolean {
  const verb = verbOf(message);
  const actions = member(member(message, 'arguments'), 'actions');
  const isOfOverlays =
    Array.isArray(actions) && actions.every(action => member(action, 'type') === 'blockdev-snapshot');
  return verb === 'blockdev-snapshot-sync' || (verb === 'transaction' && isOfOverlays);
}

/** Of the human monitor's commands the line. */
function verbOf(message: Json): string {
  return String(member(member(message, 'arguments'), 'command-line') ?? member(message, 'execute') ?? '');
}

/** Of each of its stages, for the disk at that place of the request; jobs without names are called for the guest's drive. */
function namesOf(place: number, index: number): RegExp {
  return new RegExp(`^(bs-[^-]+-m?${place}(-.*)?|drive${index})$`);
}

/** What is wrong with the order of the records, or undefined. */
export function judgeOrder(records: readonly JournalRecord[]): string | undefined {
  const order = new RecordOrder();
  for (const record of records) {
    if (NO_STEPS.has(plain(record.step)) || OF_OFFLINE.has(plain(record.step))) continue;
    const wrong =
      record.kind === 'intent'
        ? order.begun(record.step)
        : record.kind === 'outcome'
          ? order.ended(record)
          : undefined;
    if (wrong !== undefined) return `record ${record.seq}: ${wrong}`;
  }
  return undefined;
}

class RecordOrder {
  #open: string | undefined;
  /** Steps that may have an effect now, oldest first. */
  #done: readonly string[] = [];
  readonly #undone = new Set<string>();

  begun(step: string): string | undefined {
    if (plain(step) === REENTRY) return undefined;
    const under = this.#open;
    this.#open = step;
    if (plain(step) === RESCUE) return undefined;
    if (under !== undefined && plain(under) !== RESCUE)
      return `${step} was begun while ${under} was under way`;
    if (step.startsWith(UNDO)) return undefined;
    this.#done = [...this.#done.filter(each => each !== step), step];
    this.#undone.delete(step);
    return undefined;
  }

  ended({ step, body }: JournalRecord): string | undefined {
    const under = this.#open;
    // Its guest was not resumed; a next process tries again what had stranded it.
    if (plain(step) === RESCUE && under === step) return undefined;
    this.#open = undefined;
    if (under !== step && plain(under ?? '') !== RESCUE)
      return `${step} ended while ${under ?? 'nothing'} was under way`;
    const error = member(body, 'error');
    // What gave up waiting has done nothing that would have to be undone.
    if (member(error, 'code') === 'NOT_CONVERGING') this.#done = this.#done.filter(each => each !== step);
    if (!step.startsWith(UNDO) || error !== null) return undefined;
    return this.#undo(step.slice(UNDO.length));
  }

  #undo(step: string): string | undefined {
    if (this.#undone.has(step)) return `${step} was undone twice`;
    this.#undone.add(step);
    const at = this.#done.indexOf(step);
    if (at === -1) return undefined; // of the window, whose records may be lost: it is undone to be sure
    const later = this.#done.slice(at + 1).find(each => isToBeUndoneBefore(each, step));
    this.#done = this.#done.filter(each => each !== step);
    return later === undefined ? undefined : `${step} was undone before ${later}, which was done after it`;
  }
}

/** Each stage is rolled back by itself. */
function isToBeUndoneBefore(later: string, older: string): boolean {
  const { stage, step } = splitKey(later);
  return stage === splitKey(older).stage && REVERSIBLE.has(step) && !WAITS_FOR_OLDER.has(step);
}

function plain(key: string): string {
  return splitKey(key).step;
}
