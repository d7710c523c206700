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

export interface WireStep {
  readonly step: string;
  readonly words: string;
  readonly said: readonly Said[];
  readonly commands: number;
  readonly events: number;
  readonly errors: number;
}

const BRIEF_MAX = 90;

type Message = Readonly<Record<string, unknown>>;

export function readWire(lines: readonly string[]): readonly Said[] {
  const asked = new Map<string, { readonly name: string; readonly atMs: number }>();
  return lines.flatMap((text, at): readonly Said[] => {
    const { atMs, step, message } = JSON.parse(text) as { atMs: number; step: string; message: Message };
    const told = { at, atMs, step, text, lower: text.toLowerCase() };
    const id = JSON.stringify(message['id']);
    const command = message['execute'] ?? message['exec-oob'];
    if (typeof command === 'string') {
      asked.set(id, { name: command, atMs });
      return [
        { ...told, kind: 'command', name: command, brief: briefOf(message['arguments']), tookMs: null },
      ];
    }
    if (typeof message['event'] === 'string') {
      return [
        { ...told, kind: 'event', name: message['event'], brief: briefOf(message['data']), tookMs: null },
      ];
    }
    const to = asked.get(id);
    const tookMs = to === undefined ? null : atMs - to.atMs;
    const name = to?.name ?? (message['QMP'] === undefined ? 'a reply' : 'greeting');
    const error = message['error'];
    if (error !== undefined) return [{ ...told, kind: 'error', name, brief: briefOf(error), tookMs }];
    return [{ ...told, kind: 'reply', name, brief: briefOf(message['return']), tookMs }];
  });
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

/** Those up to a moment; they stand in the order of time. */
export function until(said: readonly Said[], atMs: number | null): readonly Said[] {
  if (atMs === null) return said;
  let low = 0;
  let high = said.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((said[middle]?.atMs ?? 0) <= atMs) low = middle + 1;
    else high = middle;
  }
  return said.slice(0, low);
}

/** What was said one after the other for the same step. */
export function stepsOf(said: readonly Said[]): readonly WireStep[] {
  const steps: { step: string; said: Said[]; commands: number; events: number; errors: number }[] = [];
  for (const each of said) {
    let last = steps.at(-1);
    if (last?.step !== each.step) {
      last = { step: each.step, said: [], commands: 0, events: 0, errors: 0 };
      steps.push(last);
    }
    last.said.push(each);
    if (each.kind === 'command') last.commands += 1;
    else if (each.kind === 'event') last.events += 1;
    else if (each.kind === 'error') last.errors += 1;
  }
  return steps.map(each => ({
    ...each,
    words: each.step === '' ? 'before its first step' : wordsOfStep(each.step),
  }));
}
