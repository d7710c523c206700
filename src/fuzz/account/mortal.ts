/**
 * An orchestrator that can die: everything through which the engine reaches the world goes through here, and from one
 * moment on nothing passes any more. What had been sent may still arrive; what was not durable is lost. Decides only when.
 */
import type { Files } from '../../images/files.ts';
import type { Images } from '../../images/images.ts';
import type { Journal, NewRecord } from '../../journal/journal.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { GuestAgent } from '../../qmp/guest-agent.ts';
import type { Connect, Json, Transport } from '../../qmp/transport.ts';
import type { OrchestratorDeath } from '../scenario/scenario.ts';
import { mortalFiles } from './mortal-files.ts';
import { changing } from './mortal-images.ts';

/** What is told of what passes. */
export interface Passage {
  sent(messages: readonly Json[]): void;
  received(message: Json): void;
  fileTouched(what: 'create' | 'unlink', path: string, identity?: string): void;
  fileLooked(path: string): void;
  /** Handed to the journal, which may still lose what it was not told to keep. */
  recorded(records: readonly NewRecord[]): void;
}

/** What a process that orchestrates has to do with. */
interface World {
  readonly connect: Connect;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly files: Files | null;
  readonly agent: () => Promise<GuestAgent>;
  /** Images that no QEMU has open. */
  readonly images: Images;
}

/** The world as one process sees it, which may die. */
export interface Mortal extends World {
  isAlive(): boolean;
  /** Dies now, for a reason of the world's. */
  die(): void;
  /** Says which state the saga has entered, for deaths that are counted from there. */
  enter(state: string): void;
  /** Resolves when it dies. */
  readonly death: Promise<void>;
}

/** The world that is wrapped. */
export interface MortalParts extends World {
  readonly dies: OrchestratorDeath | undefined;
  readonly lingerMs: number;
  readonly passage: Passage;
}

/** Thrown where a dead orchestrator cannot just fall silent. */
class Dead extends Error {
  override readonly name = 'Dead';
}

export function createMortal(parts: MortalParts): Mortal {
  const { clock, dies, passage } = parts;
  const { promise: death, resolve } = Promise.withResolvers<void>();
  const never = new Promise<never>(() => undefined);
  const open = new Set<Transport>();
  let alive = true;
  let counts = dies?.from === undefined;
  let records = 0;
  let sends = 0;
  let changes = 0;

  function die(): void {
    if (!alive) return;
    alive = false;
    clock.after(parts.lingerMs, () => {
      for (const transport of open) transport.close();
    });
    resolve();
  }

  /** Counts a write to the journal; gives what to do with it. */
  function atRecord(): 'write' | 'writeAndDie' | 'die' {
    if (counts) records += 1;
    if (!alive) return 'die';
    if (dies?.at !== 'record' || dies.nth !== records) return 'write';
    return dies.written ? 'writeAndDie' : 'die';
  }

  function write<T>(act: () => T): T {
    const what = atRecord();
    const value = what === 'die' ? undefined : act();
    if (what === 'write') return value as T;
    die();
    throw new Dead('the orchestrator has died');
  }

  async function writeLater(act: () => Promise<void>): Promise<void> {
    const what = atRecord();
    if (what !== 'die') await act();
    if (what === 'write') return;
    die();
    return never;
  }

  async function whileAlive<T>(act: () => Promise<T>): Promise<T> {
    if (!alive) return never;
    try {
      const value = await act();
      return alive ? value : await never;
    } catch (error) {
      if (alive) throw error;
      return never;
    }
  }

  /** A change to an image, before or after which it may die. */
  function change<T>(act: () => Promise<T>): Promise<T> {
    if (counts) changes += 1;
    const isLast = dies?.at === 'change' && dies.nth === changes;
    if (isLast && !dies.done) die();
    return whileAlive(async () => {
      const value = await act();
      if (isLast) die();
      return value;
    });
  }

  const { journal, files } = parts;
  return {
    death,
    die,
    images: changing(parts.images, change),
    enter(state) {
      if (dies?.from === state) counts = true;
    },
    isAlive: () => alive,
    clock: {
      now: () => clock.now(),
      epochMs: () => clock.epochMs(),
      after: (delayMs, callback) => clock.after(delayMs, () => alive && callback()),
    },
    connect: handlers =>
      whileAlive(async () => {
        const inner = await parts.connect({
          onMessage: message => {
            if (!alive) return;
            passage.received(message);
            handlers.onMessage(message);
          },
          onClose: reason => {
            open.delete(inner);
            if (alive) handlers.onClose(reason);
          },
        });
        if (alive) open.add(inner);
        else inner.close();
        return {
          send(messages) {
            if (!alive) return;
            if (counts) sends += 1;
            inner.send(messages);
            passage.sent(messages);
            if (dies?.at === 'send' && dies.nth === sends) die();
          },
          close: () => alive && inner.close(),
        };
      }),
    agent: () =>
      whileAlive(async () => {
        const inner = await parts.agent();
        const call = <T>(execute: string, act: () => Promise<T>) =>
          whileAlive(() => {
            passage.sent([{ execute }]);
            return act();
          });
        return {
          freeze: deadlineMs => call('guest-fsfreeze-freeze', () => inner.freeze(deadlineMs)),
          thaw: deadlineMs => call('guest-fsfreeze-thaw', () => inner.thaw(deadlineMs)),
          status: () => call('query-fsfreeze-status', () => inner.status()),
          close: () => inner.close(),
        };
      }),
    files: files === null ? null : mortalFiles(files, whileAlive, passage),
    journal: {
      begin: (saga, within) => write(() => journal.begin(saga, within)),
      takeOver: (id, options) => write(() => journal.takeOver(id, options)),
      confirm: lease => journal.confirm(lease),
      append: (lease, entries, options) => {
        if (alive) passage.recorded(entries);
        return writeLater(() => journal.append(lease, entries, options));
      },
      appendSync: (lease, entries, options) => {
        if (alive) passage.recorded(entries);
        write(() => journal.appendSync(lease, entries, options));
      },
      end: (lease, state, result) => writeLater(() => journal.end(lease, state, result)),
      ask: (id, signal, value, within) => write(() => journal.ask(id, signal, value, within)),
      listen: (id, afterSeq, heard) => journal.listen(id, afterSeq, asked => alive && heard(asked)),
      saga: id => journal.saga(id),
      sagas: filter => journal.sagas(filter),
      records: id => journal.records(id),
      standing: id => journal.standing?.(id) ?? { is: 'newest' },
      accept: id => write(() => journal.accept?.(id)),
      close: () => journal.close(),
    },
  };
}
