/** Lines of a trace as they are shown: what each is, which command a reply is for, and the steps that they were for. Pure. */
import { wordsOfStep } from '../src/railway/words.ts';

export interface Said {
  /** Its place in the trace. */
  readonly at: number;
  readonly atMs: number;
  readonly step: string;
  readonly kind: 'command' | 'reply' | 'error' | 'event';
  /** Of the command, also where it is the reply; of the event. */
  readonly name: string;
  readonly brief: string;
  /** Of a reply: since its command. */
  readonly tookMs: number | null;
  /** The whole line. */
  readonly text: string;
  /** What a search looks into. */
  readonly lower: string;
}

/** What was said one after the other for the same step. */
export interface WireStep {
  readonly step: string;
  readonly words: string;
  /** All of it, also what lies behind the moment that is shown. */
  readonly said: readonly Said[];
  /** As many of these as are shown. */
  readonly count: number;
  readonly commands: number;
  readonly events: number;
  readonly errors: number;
}

const BRIEF_MAX = 90;

type Message = Readonly<Record<string, unknown>>;

/** Reads lines as they come, each once. What is no line of a trace is counted, and left out. */
export class WireReader {
  readonly #asked = new Map<string, { readonly name: string; readonly atMs: number }>();
  #at = 0;
  #unread = 0;

  /** How many were no lines of a trace: cut off by the end of their process, or written by something else. */
  get unread(): number {
    return this.#unread;
  }

  read(lines: readonly string[]): readonly Said[] {
    return lines.flatMap(text => {
      const said = this.#one(text, this.#at);
      this.#at += 1;
      if (said === null) this.#unread += 1;
      return said ?? [];
    });
  }

  #one(text: string, at: number): Said | null {
    const line = lineOf(text);
    if (line === null) return null;
    const { atMs, step, message } = line;
    const told = { at, atMs, step, text, lower: text.toLowerCase() };
    const id = JSON.stringify(message['id']);
    const command = message['execute'] ?? message['exec-oob'];
    if (typeof command === 'string') {
      this.#asked.set(id, { name: command, atMs });
      return { ...told, kind: 'command', name: command, brief: briefOf(message['arguments']), tookMs: null };
    }
    if (typeof message['event'] === 'string') {
      return {
        ...told,
        kind: 'event',
        name: message['event'],
        brief: briefOf(message['data']),
        tookMs: null,
      };
    }
    const to = this.#asked.get(id);
    const tookMs = to === undefined ? null : atMs - to.atMs;
    const name = to?.name ?? (message['QMP'] === undefined ? 'a reply' : 'greeting');
    const error = message['error'];
    if (error !== undefined) return { ...told, kind: 'error', name, brief: briefOf(error), tookMs };
    return { ...told, kind: 'reply', name, brief: briefOf(message['return']), tookMs };
  }
}

function lineOf(
  text: string,
): { readonly atMs: number; readonly step: string; readonly message: Message } | null {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return null; // its process ended in the middle of it
  }
  if (!isMessage(line) || !isMessage(line['message'])) return null;
  const { atMs, step, message } = line;
  return typeof atMs === 'number' && Number.isFinite(atMs) && typeof step === 'string' && isMessage(message)
    ? { atMs, step, message }
    : null;
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function briefOf(value: unknown): string {
  if (value === undefined) return '';
  const text = JSON.stringify(value);
  return text.length <= BRIEF_MAX ? text : `${text.slice(0, BRIEF_MAX - 1)}…`;
}

/** Those in which every word is found; a reply is found by its command too. */
export function found(said: readonly Said[], search: string): readonly Said[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return said;
  return said.filter(({ lower, name }) =>
    words.every(word => lower.includes(word) || name.toLowerCase().includes(word)),
  );
}

/** What was said one after the other for the same step, all of it. */
export function stepsOf(said: readonly Said[]): readonly WireStep[] {
  const runs: Said[][] = [];
  for (const each of said) {
    const last = runs.at(-1);
    if (last?.[0]?.step === each.step) last.push(each);
    else runs.push([each]);
  }
  return runs.map(run => stepOf(run, run.length));
}

function stepOf(said: readonly Said[], count: number): WireStep {
  const { step = '' } = said[0] ?? {};
  const tally = tallyOf(said)[count - 1] ?? { command: 0, reply: 0, event: 0, error: 0 };
  const words = step === '' ? 'before its first step' : wordsOfStep(step);
  const { command: commands, event: events, error: errors } = tally;
  return { step, words, said, count, commands, events, errors };
}

type Tally = Readonly<Record<Said['kind'], number>>;

/** Of each list once: a slider asks for every moment of it. */
const TALLIES = new WeakMap<readonly Said[], readonly Tally[]>();

/** How many of each kind there are up to each line. */
function tallyOf(said: readonly Said[]): readonly Tally[] {
  const known = TALLIES.get(said);
  if (known !== undefined) return known;
  let last: Tally = { command: 0, reply: 0, event: 0, error: 0 };
  const all = said.map(({ kind }) => {
    last = { ...last, [kind]: last[kind] + 1 };
    return last;
  });
  TALLIES.set(said, all);
  return all;
}

/** The same up to a moment, without a look at each line. They stand in the order of time. */
export function until(steps: readonly WireStep[], atMs: number | null): readonly WireStep[] {
  if (atMs === null) return steps;
  const isBegun = ({ said: [first] }: WireStep) => (first?.atMs ?? 0) <= atMs;
  return steps
    .slice(
      0,
      firstWhere(steps, step => !isBegun(step)),
    )
    .map(step =>
      isWhole(step, atMs)
        ? step
        : stepOf(
            step.said,
            firstWhere(step.said, each => each.atMs > atMs),
          ),
    );
}

function isWhole({ said }: WireStep, atMs: number): boolean {
  return (said.at(-1)?.atMs ?? 0) <= atMs;
}

/** The place of the first of which it is true, where it is true of all behind it. */
function firstWhere<T>(all: readonly T[], is: (each: T) => boolean): number {
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const each = all[middle];
    if (each !== undefined && !is(each)) low = middle + 1;
    else high = middle;
  }
  return low;
}
