/**
 * The kinds of faults that are drawn, one row each: how often, which budget it is of, for which requests, and with which
 * details. A kind is added as a row here and as a shape in `src/sim/monitor/faults.ts`; what a law does not blame a saga for after
 * it is a row in `excuses.ts`. Decides nothing about where in a saga it strikes.
 */
import type { Fault, Place } from '../../sim/monitor/faults.ts';
import type { Draw } from './draw.ts';
import { drawFile } from './draw-file.ts';
import { drawForeign, FOREIGN_COMMANDS } from './foreign-commands.ts';
import type { GuestChoice } from './scenario.ts';
import type { Wish } from './wish.ts';

/**
 * `recoverable` faults strike once each, a few in a run: a saga ends by itself in spite of them. `unlimited` ones strike
 * until faults stop, or take something away for good: a saga may give up, and ends when it is resumed without them.
 */
export type Budget = 'recoverable' | 'unlimited';

/** Where a fault is placed, and what it is drawn for. */
export interface FaultDraw {
  readonly draw: Draw;
  readonly wish: Wish;
  readonly guest: GuestChoice;
  readonly place: () => { readonly command?: string; readonly nth: number };
  /** Third parties also send what the engine is known not to survive. */
  readonly held: boolean;
}

export interface FaultKind {
  readonly weight: number;
  readonly budget: Budget;
  readonly isFor?: (wish: Wish) => boolean;
  readonly make: (drawing: FaultDraw) => Fault | readonly Fault[];
}

const EVENTS = [
  ...['JOB_STATUS_CHANGE', 'BLOCK_JOB_READY', 'BLOCK_JOB_COMPLETED', 'BLOCK_JOB_PENDING'],
  ...['STOP', 'RESUME'],
];

/** Commands that change something and that QEMU may refuse again and again. */
const CHANGES = [
  ...['object-add', 'object-del', 'blockdev-create', 'blockdev-add', 'blockdev-del', 'blockdev-mirror'],
  ...['blockdev-reopen', 'qom-set', 'transaction', 'job-complete', 'job-finalize', 'job-dismiss'],
  ...['block-job-cancel', 'block-commit', 'block-stream'],
];

const BEFORE_OR_AFTER = ['before', 'after'] as const;
/** A third party at any moment, and not at a command of ours. */
const MOMENT_MS_MAX = 400;

const kind = (
  budget: Budget,
  weight: number,
  make: FaultKind['make'],
  isFor?: FaultKind['isFor'],
): FaultKind => ({ budget, weight, make, ...(isFor === undefined ? {} : { isFor }) });

export const FAULT_KINDS = {
  refuse: kind('recoverable', 18, ({ place }) => ({ kind: 'refuse', ...place() })),
  replyLost: kind('recoverable', 6, ({ place }) => ({ kind: 'replyLost', ...place() })),
  replyLate: kind('recoverable', 6, ({ draw, place }) => ({
    ...{ kind: 'replyLate', delayMs: draw.one([1, 50, 5_000]), ...place() },
  })),
  cut: kind('recoverable', 18, ({ draw, place }) => ({
    ...{ kind: 'cut', effect: draw.one(BEFORE_OR_AFTER), ...place() },
  })),
  event: kind('recoverable', 6, ({ draw, wish }) => ({
    kind: 'event',
    how: draw.one(['lost', 'twice', 'late', 'swapped'] as const),
    event: draw.one(EVENTS),
    nth: 1 + draw.below(2 * wish.named.length),
  })),
  jobFails: kind('recoverable', 6, ({ draw, wish }) => ({
    ...{ kind: 'jobFails', nth: jobOf(draw, wish), percent: draw.one([0, 50, 99, 100]) },
  })),
  jobNeverReady: kind(
    'recoverable',
    2,
    ({ draw, wish }) => ({ kind: 'jobNeverReady', nth: jobOf(draw, wish) }),
    // Among the jobs of a snapshot are those of its undo, and for them it waits an hour.
    wish => wish.operation !== 'snapshot' && wish.operation !== 'snapshotMirror',
  ),
  pivotRefused: kind('recoverable', 4, ({ draw, wish }) => ({
    ...{ kind: 'pivotRefused', nth: jobOf(draw, wish) },
  })),
  guestShutdown: kind('recoverable', 3, ({ draw, place }) => ({
    ...{ kind: 'guestShutdown', at: { when: draw.one(BEFORE_OR_AFTER), ...place() } },
  })),
  otherClient: kind('recoverable', 12, drawThirdParty),
  file: kind('recoverable', 6, ({ draw, wish, guest, place }) => ({
    ...{ kind: 'file', at: drawAt(draw, place), ...drawFile(draw, wish, guest) },
  })),
  'refuse lasting': kind('unlimited', 4, ({ draw }) => ({
    ...{ kind: 'refuse', command: draw.one(CHANGES), nth: 1 + draw.few(3), lasting: true },
  })),
  diskFull: kind('unlimited', 3, ({ draw }) => ({ kind: 'diskFull', freeBytes: draw.below(1_000_000) })),
  kill: kind('unlimited', 6, ({ draw, place }) => ({
    kind: 'kill',
    what: draw.chance(4) ? 'host' : 'qemu',
    at: { when: draw.one(BEFORE_OR_AFTER), ...place() },
  })),
} satisfies Readonly<Record<string, FaultKind>>;

function jobOf(draw: Draw, wish: Wish): number {
  return 1 + draw.below(wish.named.length * 3);
}

function drawAt(draw: Draw, place: FaultDraw['place']): Place {
  return draw.chance(5)
    ? { when: 'at', ms: draw.below(MOMENT_MS_MAX) / 100 }
    : { when: draw.one(BEFORE_OR_AFTER), ...place() };
}

/** All commands of one row, at one moment. */
function drawThirdParty({ draw, wish, guest, place, held }: FaultDraw): readonly Fault[] {
  const rows = Object.entries(FOREIGN_COMMANDS).filter(
    ([name, row]) => draw.isOn(name) && (held || row.held === undefined),
  );
  if (rows.length === 0) return [];
  const [, row] = draw.weighted(rows, ([, { weight }]) => weight);
  const at = drawAt(draw, place);
  return drawForeign(draw, row, wish, guest).map(sent => ({ kind: 'otherClient', at, ...sent }));
}
