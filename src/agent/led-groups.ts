/**
 * The groups that this agent leads, as the agents of other hosts reach them: which part may say what and when, and what the leader's
 * own journal tells those that ask late. What is out of order, of another attempt or of no group here has no effect; a part that falls
 * silent is left out, and the group is rolled back with it.
 */
import { type Decided, partsIn } from '../engine/durable/group-across.ts';
import { GROUP } from '../engine/durable/group-register.ts';
import type { Junction } from '../engine/group-hosts.ts';
import { BlocksagaError } from '../errors.ts';
import { isSame } from '../inspect/local-only.ts';
import type { Journal } from '../journal/journal.ts';
import { type Clock, sleep } from '../qmp/clock.ts';
import { groupIsBack } from '../steps/step/barrier.ts';
import { COPYING, type Copying } from './copying-part.ts';
import { ANSWER_MS, errorTold, JOIN_MS, PREPARE_MS, textIn, WORDS_MAX } from './junction-wire.ts';
import { HOLD_MS, SILENCE_MS, type Verb } from './wire.ts';

/** The longest that a vote may be good for. */
const VOTE_MAX_MS = 60 * 60_000;
/** What the ways of a message may take beside what the other side waits. */
const SPARE_MS = 5_000;

export class LedGroups {
  readonly #journal: Pick<Journal, 'saga'>;
  readonly #clock: Clock;
  readonly #groups = new Map<string, ReadonlyMap<string, LedPart>>();
  readonly #refused = new Map<string, BlocksagaError>();

  constructor(journal: Pick<Journal, 'saga'>, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
  }

  /** Until it is over, which is when the parts are told by the journal. */
  lead(group: string, junctions: ReadonlyMap<string, Junction>): void {
    this.#refused.delete(group);
    const parts = [...junctions].map(
      ([host, junction]) => [host, new LedPart(junction, this.#clock)] as const,
    );
    this.#groups.set(group, new Map(parts));
  }

  /** What it was refused for, with nothing begun, is told to the parts that come a moment later. */
  isRefused(group: string, error: unknown): void {
    this.isOver(group);
    if (!(error instanceof BlocksagaError) || this.#journal.saga(group) !== undefined) return;
    this.#refused.set(group, error);
    this.#clock.after(JOIN_MS, () => {
      if (this.#refused.get(group) === error) this.#refused.delete(group);
    });
  }

  isOver(group: string): void {
    for (const part of this.#groups.get(group)?.values() ?? []) part.end('the group is over');
    this.#groups.delete(group);
  }

  /** Before this agent ends: a part that has not answered `go` goes back at once. */
  endAll(): void {
    for (const parts of this.#groups.values())
      for (const part of parts.values()) part.end('the agent of the leading host ends');
  }

  /**
   * Answers one message. `gone` aborts when its connection has broken: a part that has not answered is left out then. Throws what the part is
   * refused with, SAGA_UNKNOWN for a group that is not known here yet, SAGA_STATE for one that is over.
   */
  async answer(group: string, host: string, verb: Verb, body: unknown, gone: AbortSignal): Promise<object> {
    const part = this.#groups.get(group)?.get(host);
    if (verb === 'confirmed' || verb === 'decision') {
      const decided = await part?.decided(verb, body);
      return { decided: decided ?? this.#known(group, host, textIn(body, 'attempt') ?? '') };
    }
    if (part !== undefined) return part.answer(verb, body, gone);
    const isKnown = this.#journal.saga(group) !== undefined;
    // It cannot have committed without this part.
    if (isKnown && verb === 'following') throw groupIsBack('it has ended on the host that leads it');
    if (isKnown)
      throw new BlocksagaError('SAGA_STATE', `group ${group} has been begun here before; take a new id`, {
        saga: group,
      });
    throw this.#refused.get(group) ?? unknown(group, host);
  }

  /** What is durable. Throws SAGA_UNKNOWN for what is no part of a group here: neither decision may be read into that. */
  #known(group: string, host: string, attempt: string): Decided {
    const row = this.#journal.saga(group);
    const isPart =
      row?.operation === GROUP &&
      partsIn(row).some(part => part.host === host && isSame(attempt, part.attempt));
    if (!isPart) throw unknown(group, host);
    return row.state === 'committed' || row.state === 'rolledBack' ? row.state : 'undecided';
  }
}

function unknown(group: string, host: string): BlocksagaError {
  const why = `there is no group ${group} here, or host ${host} is not in it, or is in it by another attempt`;
  return new BlocksagaError('SAGA_UNKNOWN', why, { saga: group });
}

/** What follows what; only a part with mirrors comes to be converged. */
const BEFORE = {
  planned: [undefined],
  prepared: ['planned'],
  converged: ['prepared'],
  taken: ['prepared', 'converged'],
  confirmed: ['taken'],
} as const;
type Phase = keyof typeof BEFORE;

class LedPart {
  readonly #junction: Junction;
  readonly #clock: Clock;
  #attempt: string | undefined;
  /** The last that it has come to, and whether the others have come there too. */
  #at: { readonly phase: Phase; isMet: boolean } | undefined;
  #decided: Promise<Decided> | undefined;
  #isOver = false;
  /** What a part that copies has come to, until all have. */
  #following: Promise<void> = Promise.resolve();
  /** Never resolves, and rejects when the group is rolled back. */
  readonly #left: Promise<void>;
  #cancel: () => void;
  /** Also between two steps: its process has died. */
  readonly #broken = () => this.end('its connection has broken');

  constructor(junction: Junction, clock: Clock) {
    this.#junction = junction;
    this.#clock = clock;
    const { left } = junction;
    this.#left = new Promise((_, reject) =>
      left.addEventListener('abort', () => reject(left.reason), { once: true }),
    );
    this.#left.catch(() => undefined); // told to a part that copies
    this.#cancel = clock.after(JOIN_MS, () => this.end(`it has not come within ${JOIN_MS / 1_000} s`));
  }

  /** It does not go on; what has answered `go` stays answered. */
  end(why: string): void {
    this.#cancel();
    if (this.#isOver || this.#decided !== undefined) return;
    this.#isOver = true;
    this.#junction.leave(why);
  }

  async answer(
    verb: Exclude<Verb, 'confirmed' | 'decision'>,
    body: unknown,
    gone: AbortSignal,
  ): Promise<object> {
    if (verb === 'refused') return this.#refused(body);
    if (verb === 'planned') {
      this.#come('planned');
      // One that copies is known by its questions, whatever becomes of a connection in all the time that it takes.
      const copies = new Map<string, unknown>(Object.entries(body ?? {})).get('copies') === true;
      this.#attempt = await this.#met(this.#junction.planned(), copies ? NEVER : gone);
      this.#expectNext(PREPARE_MS + SPARE_MS);
      return { attempt: this.#attempt };
    }
    this.#expectAttempt(body);
    if (verb === 'left') {
      this.end(textIn(body, 'why')?.slice(0, WORDS_MAX) ?? 'it has left');
      return {};
    }
    if (verb === 'following') return this.#follow(textIn(body, 'at') ?? '');
    this.#come(verb);
    if (verb === 'prepared') {
      await this.#met(this.#junction.prepared(), gone);
      this.#expectNext(PREPARE_MS + SPARE_MS);
    } else {
      await this.#met(this.#junction.taken(withinMsIn(body)), gone);
      this.#expectNext(ANSWER_MS);
    }
    return {};
  }

  /** Answers at once what is new, and within a moment that nothing is. Throws GROUP when the group is rolled back. */
  async #follow(at: string): Promise<object> {
    this.#cancel();
    if (this.#isOver || !isCopying(at)) throw this.#outOfOrder(at);
    if (at !== 'copying' && at !== this.#at?.phase) {
      this.#come(at);
      this.#following = this.#junction[at]();
      this.#following.catch(() => undefined); // told to who asks
    }
    const news = at === 'copying' ? this.#left : this.#following;
    let isMet = false;
    const meeting = news.then(() => {
      isMet = true;
    });
    await Promise.race([meeting, sleep(this.#clock, HOLD_MS)]);
    if (isMet && this.#at?.phase === at) this.#at.isMet = true;
    this.#expectNext(SILENCE_MS);
    return { met: isMet };
  }

  /** Undefined where it is not this attempt's. One that asks anew without having answered never will: it is in a later process. */
  async decided(verb: 'confirmed' | 'decision', body: unknown): Promise<Decided | undefined> {
    if (!this.#isAttempt(body)) return undefined;
    if (verb === 'decision' && this.#decided === undefined) this.end('its process has died');
    if (verb === 'confirmed' && this.#decided === undefined && !this.#isOver) {
      this.#come('confirmed');
      this.#decided = this.#confirm();
    }
    if (this.#decided === undefined) return 'rolledBack';
    const late = sleep(this.#clock, ANSWER_MS / 2).then(() => 'undecided' as const);
    return Promise.race([this.#decided, late]);
  }

  async #confirm(): Promise<Decided> {
    this.#cancel();
    try {
      await this.#junction.confirmed();
      return 'committed';
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      return error.code === 'GROUP' ? 'rolledBack' : 'undecided';
    }
  }

  #refused(body: unknown): object {
    if (this.#at !== undefined) throw this.#outOfOrder('refused');
    this.#isOver = true;
    this.#cancel();
    this.#junction.refuse(errorTold(new Map(Object.entries(body ?? {})).get('error')));
    return {};
  }

  /** Throws GROUP, with the part left out, for what does not come next. */
  #come(phase: Phase): void {
    const before: readonly (Phase | undefined)[] = BEFORE[phase];
    const isNext = before.includes(this.#at?.phase) && (this.#at?.isMet ?? true);
    if (!isNext || this.#isOver) throw this.#outOfOrder(phase);
    this.#at = { phase, isMet: false };
  }

  #outOfOrder(what: string): BlocksagaError {
    const known = this.#at === undefined ? 'it has not come' : `it has come to "${this.#at.phase}"`;
    const why = `"${what}" of this part is not what comes next: ${this.#isOver ? 'it has left' : known}`;
    return new BlocksagaError('GROUP', why);
  }

  async #met<T>(meeting: Promise<T>, gone: AbortSignal): Promise<T> {
    this.#cancel();
    const at = this.#at;
    if (gone.aborted) this.#broken();
    else gone.addEventListener('abort', this.#broken, { once: true });
    const met = await meeting;
    if (at !== undefined) at.isMet = true;
    return met;
  }

  #expectNext(withinMs: number): void {
    this.#cancel();
    this.#cancel = this.#clock.after(withinMs, () =>
      this.end(`nothing was heard of it for ${withinMs / 1_000} s`),
    );
  }

  #expectAttempt(body: unknown): void {
    if (!this.#isAttempt(body))
      throw new BlocksagaError('SAGA_UNKNOWN', 'this is another attempt of the group, or none');
  }

  #isAttempt(body: unknown): boolean {
    return this.#attempt !== undefined && isSame(textIn(body, 'attempt') ?? '', this.#attempt);
  }
}

const NEVER = new AbortController().signal;

function isCopying(text: string): text is Copying {
  return COPYING.some(each => each === text);
}

function withinMsIn(body: unknown): number {
  const value: unknown = new Map(Object.entries(body ?? {})).get('withinMs');
  if (typeof value === 'number' && value >= 0) return Math.min(value, VOTE_MAX_MS);
  throw new BlocksagaError('REQUEST_INVALID', 'a vote says for how long it is good: { "withinMs": N }');
}
