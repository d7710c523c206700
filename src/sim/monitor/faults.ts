/**
 * What may go wrong, as plain data that can be drawn, shrunk and replayed. The budget: each fault strikes once, at the
 * place that it names, but for a refusal that lasts; without faults the simulator does what a healthy QEMU does. Decides
 * nothing about its effects.
 */

import type { Json } from '../../qmp/transport.ts';
import type { FileAct } from '../host/foreign-files.ts';
import type { QmpErrorClass } from '../state/refusal.ts';

/** The n-th command (from 1) of a name; of any name when it is left out. */
export interface CommandPlace {
  readonly command?: string;
  readonly nth?: number;
}

/** Where a fault strikes that is no property of a command: before or after one, or at a time. */
export type Place =
  | ({ readonly when: 'before' | 'after' } & CommandPlace)
  | { readonly when: 'at'; readonly ms: number };

export type Fault =
  /** The command is refused and has no effect; `lasting`: this one and all of its name after it, until faults end. */
  | ({
      readonly kind: 'refuse';
      readonly class?: QmpErrorClass;
      readonly desc?: string;
      readonly lasting?: true;
    } & CommandPlace)
  /** The command takes effect, its reply never arrives. */
  | ({ readonly kind: 'replyLost' } & CommandPlace)
  /** The command takes effect, its reply and all that follows on this connection arrive later. */
  | ({ readonly kind: 'replyLate'; readonly delayMs: number } & CommandPlace)
  /** The connection breaks before the command has an effect, or after that and before the reply. */
  | ({ readonly kind: 'cut'; readonly effect: 'before' | 'after' } & CommandPlace)
  /** The n-th event of a name is dropped, sent twice, delayed, or sent after the next one. */
  | {
      readonly kind: 'event';
      readonly event?: string;
      readonly nth?: number;
      readonly how: 'lost' | 'twice' | 'late' | 'swapped';
      readonly delayMs?: number;
    }
  /** The n-th block job (from 1, in the order of their starts) fails at a share of its work. */
  | { readonly kind: 'jobFails'; readonly nth: number; readonly percent: number; readonly error?: string }
  /** The n-th block job copies for ever. */
  | { readonly kind: 'jobNeverReady'; readonly nth: number }
  /** The n-th block job's change of the graph is refused when it is finalized. */
  | { readonly kind: 'pivotRefused'; readonly nth: number }
  /** The host's disk has room for so many more bytes of new files. */
  | { readonly kind: 'diskFull'; readonly freeBytes: number }
  /** Another client sends a command of its own: steals, cancels, dismisses, exports, resizes, stops, continues. */
  | {
      readonly kind: 'otherClient';
      readonly at: Place;
      readonly execute: string;
      readonly arguments?: { readonly [name: string]: Json };
    }
  /** A third party takes a name from its file: moves or removes it, and may put a file of its own there. */
  | ({ readonly kind: 'file'; readonly at: Place } & FileAct)
  /** The guest shuts down by itself. */
  | { readonly kind: 'guestShutdown'; readonly at: Place }
  /** The guest goes into S3 by itself. */
  | { readonly kind: 'guestSuspend'; readonly at: Place }
  /** SIGKILL for QEMU, or the power goes. */
  | { readonly kind: 'kill'; readonly at: Place; readonly what: 'qemu' | 'host' };

export interface Faults {
  /** The faults of these kinds that strike at this command; each is given out once. */
  atCommand<K extends 'refuse' | 'replyLost' | 'replyLate' | 'cut'>(
    kind: K,
    command: string,
  ): Extract<Fault, { kind: K }> | undefined;
  atEvent(event: string): Extract<Fault, { kind: 'event' }> | undefined;
  /** Faults placed before or after this command. */
  placed(when: 'before' | 'after', command: string): readonly PlacedFault[];
  readonly timed: readonly (readonly [number, PlacedFault])[];
  ofJob(nth: number): readonly Fault[];
  readonly freeBytes: number | undefined;
  /** Whether a timed fault still strikes, now that its moment has come. */
  isDue(fault: PlacedFault): boolean;
  /** Adds a fault whose n-th command or event is counted from now on. */
  arm(fault: Fault): void;
  /** From now on no fault strikes any more. */
  end(): void;
  /** Counts a command or an event that is about to happen. */
  countCommand(command: string): void;
  countEvent(event: string): void;
}

export type PlacedFault = Extract<
  Fault,
  { kind: 'otherClient' | 'file' | 'guestShutdown' | 'guestSuspend' | 'kill' }
>;

/** The command before or after which a fault with `at` has struck. */
export interface StruckPlace {
  readonly when: 'before' | 'after';
  readonly command: string;
}

/** Hears of each fault as it strikes, and at which command one with `at` does. */
export type OnFault = (fault: Fault, place?: StruckPlace) => void;

/** `onStrike` hears of each fault at the moment when it strikes; of a job's when the job first asks. */
export function createFaults(planned: readonly Fault[], onStrike?: OnFault): Faults {
  let list = planned;
  let placedFaults = list.filter(isPlaced);
  const spent = new Set<Fault>();
  /** What was armed, by the same fault with its place counted from the beginning. */
  const armed = new Map<Fault, Fault>();
  /** By name: commands are written small, events big. */
  const counts = new Map<string, number>();
  const count = (name: string): void => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  const strikes = (place: CommandPlace, command: string): boolean =>
    (place.command === undefined || place.command === command) &&
    (place.nth ?? 1) === counts.get(place.command === undefined ? '*' : command);
  const hasBegun = (place: CommandPlace, command: string): boolean =>
    place.command === command && (place.nth ?? 1) <= (counts.get(command) ?? 0);
  const none: readonly PlacedFault[] = [];
  const take = <F extends Fault>(fault: F, place?: StruckPlace): F => {
    if (!spent.has(fault)) onStrike?.(armed.get(fault) ?? fault, place);
    spent.add(fault);
    return fault;
  };

  return {
    atCommand<K extends 'refuse' | 'replyLost' | 'replyLate' | 'cut'>(kind: K, command: string) {
      for (const fault of list) {
        if (fault.kind !== kind) continue;
        if (lasts(fault)) {
          if (hasBegun(fault, command)) return take(fault as Extract<Fault, { kind: K }>);
          continue;
        }
        if (spent.has(fault)) continue;
        if (strikes(fault as CommandPlace, command)) {
          return take(fault as Extract<Fault, { kind: K }>);
        }
      }
      return undefined;
    },
    atEvent(event) {
      for (const fault of list) {
        if (fault.kind !== 'event' || spent.has(fault)) continue;
        const counted = counts.get(fault.event ?? 'event *');
        if ((fault.event === undefined || fault.event === event) && (fault.nth ?? 1) === counted)
          return take(fault);
      }
      return undefined;
    },
    placed(when, command) {
      if (placedFaults.length === 0) return none;
      return placedFaults
        .filter(
          fault => fault.at.when === when && !spent.has(fault) && strikes(fault.at as CommandPlace, command),
        )
        .map(fault => take(fault, { when, command }));
    },
    timed: placedFaults.flatMap(fault => (fault.at.when === 'at' ? [[fault.at.ms, fault] as const] : [])),
    ofJob(nth) {
      return list.filter(fault => isOfJob(fault) && fault.nth === nth).map(fault => take(fault));
    },
    isDue(fault) {
      return placedFaults.includes(fault) && take(fault) === fault;
    },
    arm(fault) {
      const absolute = countedFrom(counts, fault);
      armed.set(absolute, fault);
      list = [...list, absolute];
      placedFaults = list.filter(isPlaced);
    },
    end() {
      list = [];
      placedFaults = [];
    },
    freeBytes: list.find(fault => fault.kind === 'diskFull')?.freeBytes,
    countCommand(command) {
      count('*');
      count(command);
    },
    countEvent(event) {
      count('event *');
      count(event);
    },
  };
}

/** The fault with its place counted from the beginning instead of from now. */
function countedFrom(counts: ReadonlyMap<string, number>, fault: Fault): Fault {
  const after = (key: string, nth: number | undefined): number => (counts.get(key) ?? 0) + (nth ?? 1);
  switch (fault.kind) {
    case 'refuse':
    case 'replyLost':
    case 'replyLate':
    case 'cut':
      return { ...fault, nth: after(fault.command ?? '*', fault.nth) };
    case 'event':
      return {
        ...fault,
        nth: after(fault.event ?? 'event *', fault.nth),
      };
    case 'otherClient':
    case 'file':
    case 'guestShutdown':
    case 'guestSuspend':
    case 'kill':
      if (fault.at.when === 'at') return fault;
      return { ...fault, at: { ...fault.at, nth: after(fault.at.command ?? '*', fault.at.nth) } };
    default:
      return fault;
  }
}

function lasts(fault: Fault): fault is Extract<Fault, { kind: 'refuse' }> {
  return fault.kind === 'refuse' && fault.lasting === true;
}

const PLACED: ReadonlySet<Fault['kind']> = new Set([
  'otherClient',
  'file',
  'guestShutdown',
  'guestSuspend',
  'kill',
]);

function isPlaced(fault: Fault): fault is PlacedFault {
  return PLACED.has(fault.kind);
}

function isOfJob(
  fault: Fault,
): fault is Extract<Fault, { kind: 'jobFails' | 'jobNeverReady' | 'pivotRefused' }> {
  return fault.kind === 'jobFails' || fault.kind === 'jobNeverReady' || fault.kind === 'pivotRefused';
}
