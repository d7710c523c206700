/**
 * Draws what goes wrong in a scenario: most of it where the saga will be: before the decision, in the rollback, and
 * after the decision. What may go wrong, and how often, is in `fault-kinds.ts`; what third parties send in
 * `foreign-commands.ts`.
 */
import type { Fault } from '../../sim/monitor/faults.ts';
import type { Draw } from '../scenario/draw.ts';
import { type Budget, FAULT_KINDS, type FaultDraw, type FaultKind } from '../scenario/fault-kinds.ts';
import type { GuestChoice, OrchestratorDeath, PlannedFault, SignalAt } from '../scenario/scenario.ts';
import type { Wish } from '../scenario/wish.ts';
import { type LikelyPath, rollbackFrom } from './likely-path.ts';

/** What goes wrong, and what is asked meanwhile. */
export interface Trouble {
  readonly faults: readonly PlannedFault[];
  readonly signals: readonly SignalAt[];
  readonly deaths: readonly OrchestratorDeath[];
}

/** What trouble is drawn for. */
interface Drawn {
  readonly wish: Wish;
  readonly guest: GuestChoice;
  readonly held: boolean;
}

/** One run in so many has a fault of the unlimited budget. */
const UNLIMITED_ONE_IN = 4;

export function drawTrouble(draw: Draw, drawn: Drawn, path: LikelyPath, faultsMax: number): Trouble {
  const { wish } = drawn;
  const turn = draw.option('turn', 3) ? draw.one(path.there) : undefined;
  const states = turn === undefined ? [...path.there, ...path.onward] : [turn, ...rollbackFrom(path, turn)];
  const turning = turn === undefined ? [] : [drawTurn(draw, turn)];
  const recoverable = Array.from({ length: draw.few(faultsMax) }, () => drawRecoverable(draw, drawn, states));
  const isUnlimited = faultsMax > 0 && draw.chance(UNLIMITED_ONE_IN);
  const unlimited = isUnlimited ? drawUnlimited(draw, drawn, states) : [];
  const faults = [...turning, ...recoverable.flat(), ...unlimited];
  const deaths = draw.option('deaths', 3) ? 1 + draw.few(2) : 0;
  return {
    faults,
    signals: drawSignals(draw, wish, faults),
    deaths: Array.from({ length: deaths }, () => drawDeath(draw, states)),
  };
}

/** Makes the saga roll back from a state. */
function drawTurn(draw: Draw, from: string): PlannedFault {
  return { kind: 'refuse', nth: 1 + draw.few(4), from };
}

function drawSignals(draw: Draw, wish: Wish, faults: readonly PlannedFault[]): readonly SignalAt[] {
  const at = () => draw.below(800) / 100 + (draw.chance(8) ? draw.below(400) : 0);
  const signals: SignalAt[] = [];
  if (draw.option('signals', 6)) signals.push({ signal: 'abort', atMs: at() });
  if ('finish' in wish && wish.finish === 'leave') signals.push({ signal: 'pivot', atMs: at() });
  if (wish.operation === 'snapshotMirror') signals.push({ signal: draw.one(ENDS_OF_MIRRORS), atMs: at() });
  if ('parallel' in wish && draw.option('signals', 8)) {
    signals.push({ signal: 'setSpeed', bytesPerSecond: draw.one([0, 20_000_000, 400_000_000]), atMs: at() });
  }
  // A job that copies for ever, or that a third party holds, is for an administrator to end.
  if (faults.some(holdsJob)) {
    signals.push({ signal: 'abort', atMs: 2_000 + draw.below(2_000) });
  }
  return signals;
}

const ENDS_OF_MIRRORS = ['pivot', 'pivot', 'keepSnapshot'] as const;

function holdsJob(fault: Fault): boolean {
  return fault.kind === 'jobNeverReady' || (fault.kind === 'otherClient' && fault.execute === 'job-pause');
}

const COMMANDS_IN_ALL = 90;
const WARM_UP_MS = 3.5;

function drawDeath(draw: Draw, states: readonly string[]): OrchestratorDeath {
  const aimed = !draw.chance(4);
  const from = aimed ? { from: draw.one(states) } : {};
  if (draw.chance(2)) return { at: 'send', nth: 1 + (aimed ? draw.few(4) : draw.below(60)), ...from };
  return {
    at: 'record',
    nth: 1 + (aimed ? draw.few(3) : draw.below(40)),
    written: draw.chance(2),
    ...from,
  };
}

/** Commands that the engine sends, so that a fault may be placed at the n-th of a name. */
const COMMANDS = [
  ...['query-block', 'query-named-block-nodes', 'query-jobs', 'query-status', 'qom-list', 'object-add'],
  ...['object-del', 'blockdev-create', 'blockdev-add', 'blockdev-del', 'blockdev-mirror', 'blockdev-reopen'],
  ...['qom-set', 'transaction', 'blockdev-snapshot-sync', 'stop', 'cont', 'job-complete', 'job-finalize'],
  ...['job-cancel', 'job-dismiss', 'block-job-cancel', 'block-commit', 'block-stream'],
  ...['drive-mirror', 'query-block-jobs', 'block-job-complete'],
];

function drawRecoverable(draw: Draw, drawn: Drawn, states: readonly string[]): readonly PlannedFault[] {
  const { wish } = drawn;
  const disks = wish.named.length;
  if (draw.chance(8)) {
    const faults = drawKind(draw, drawn, 'recoverable', () => ({ nth: 1 + draw.below(COMMANDS_IN_ALL) }));
    return faults.map(sinceRequest);
  }
  if ('quiesce' in wish && wish.quiesce && draw.chance(2)) return [drawAgentFault(draw)];
  const place = () =>
    draw.chance(4)
      ? { command: draw.one(COMMANDS), nth: 1 + draw.few(1 + disks) }
      : { nth: 1 + draw.few(3 + disks) };
  return aimed(draw, drawKind(draw, drawn, 'recoverable', place), states);
}

function drawUnlimited(draw: Draw, drawn: Drawn, states: readonly string[]): readonly PlannedFault[] {
  const place = () => ({ nth: 1 + draw.few(3 + drawn.wish.named.length) });
  return aimed(draw, drawKind(draw, drawn, 'unlimited', place), states);
}

/** A time that is not counted from a state is counted from the start, and the guest warms up before it is asked for anything. */
function sinceRequest(fault: Fault): Fault {
  if ((fault.kind !== 'otherClient' && fault.kind !== 'file') || fault.at.when !== 'at') return fault;
  return { ...fault, at: { when: 'at', ms: fault.at.ms + WARM_UP_MS } };
}

function aimed(draw: Draw, faults: readonly Fault[], states: readonly string[]): readonly PlannedFault[] {
  const from = draw.one(states);
  return faults.map(fault => ({ ...fault, from }));
}

const ROWS = Object.entries<FaultKind>(FAULT_KINDS);

/** One of a budget, by the table of kinds; nothing where this run does without all of them. */
function drawKind(
  draw: Draw,
  { wish, guest, held }: Drawn,
  budget: Budget,
  place: FaultDraw['place'],
): readonly Fault[] {
  const rows = ROWS.filter(
    ([name, row]) => row.budget === budget && draw.isOn(name) && (row.isFor?.(wish) ?? true),
  );
  if (rows.length === 0) return [];
  const [, { make }] = draw.weighted(rows, ([, { weight }]) => weight);
  const made = make({ draw, wish, guest, place, held });
  return 'kind' in made ? [made] : made;
}

const AGENT_COMMANDS = [
  'guest-agent-connect',
  'guest-fsfreeze-status',
  'guest-fsfreeze-freeze',
  'guest-fsfreeze-thaw',
];

/** The agent is missing, refuses half-way, or its line breaks. */
function drawAgentFault(draw: Draw): Fault {
  const place = { command: draw.one(AGENT_COMMANDS), nth: 1 + draw.few(3) };
  switch (draw.below(4)) {
    case 0:
      return { kind: 'refuse', ...place };
    case 1:
      return { kind: 'replyLost', ...place };
    case 2:
      return { kind: 'replyLate', delayMs: draw.one([50, 30_000]), ...place };
    default:
      return { kind: 'cut', effect: draw.one(['before', 'after']), ...place };
  }
}
