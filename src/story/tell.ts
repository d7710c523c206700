/**
 * Tells the story of a saga from what its journal has of it: the row, the records, and whether its process is alive. It
 * asks no QEMU and changes nothing.
 */
import type { AnyStateNode } from 'xstate';
import { GROUP, membersIn } from '../engine/durable/group-register.ts';
import { RESCUE, SET_SPEED } from '../engine/durable/history.ts';
import { SIGNALS } from '../engine/durable/signals.ts';
import { offlineProgress } from '../engine/recovery/offline-progress.ts';
import type { SagaResult } from '../engine/running/result.ts';
import { isWaiting } from '../engine/running/waiting.ts';
import { BlocksagaError, type ErrorRecord } from '../errors.ts';
import { member } from '../journal/body.ts';
import type { JournalRecord, SagaRow } from '../journal/journal.ts';
import { takeoversIn } from '../journal/taken-over.ts';
import { undoneDescription } from '../machines/descriptions.ts';
import { machineFor } from '../machines/machine-for.ts';
import { COMMIT_OFFLINE } from '../operations/plan-commit-offline.ts';
import { PLAN_VERSION, type Plan } from '../plan/plan.ts';
import { splitKey, stagesOf } from '../steps/stages.ts';
import { actorIn, kindOf, stationsOf, undoneBy, undosOf, wordsOf } from './chart-line.ts';
import { disksOf } from './disks.ts';
import { failureOf } from './failure.ts';
import { signalsIn } from './signals.ts';
import type { Station, Story, Undo, Visit } from './story.ts';
import { type Entered, walk } from './walk.ts';
import { whatNext } from './what-next.ts';

/** A saga as its journal has it, read and checked. */
export interface Known {
  readonly row: SagaRow;
  readonly plan: Plan;
  readonly records: readonly JournalRecord[];
  /** Whether the process that began it, or took it over last, is alive. */
  readonly isRunning: boolean;
}

/** Why a saga cannot be told by a chart, in a sentence that says what tells it; null where it can. */
export function whyUntold(row: SagaRow): string | null {
  const { id, operation, planVersion } = row;
  const instead = `"blocksaga show ${id}" tells its steps`;
  if (operation === COMMIT_OFFLINE) {
    return `saga ${id} was run by qemu-img, not by a chart that could be drawn: ${instead}`;
  }
  if (operation === GROUP) {
    return `${id} is a group of guests: each of its members has a chart of its own (${membersIn(row).join(', ')}); "blocksaga show ${id}" lists them`;
  }
  if (planVersion !== PLAN_VERSION) {
    return `saga ${id} was planned by a version of blocksaga whose charts are not known here: ${instead}`;
  }
  return null;
}

/** Throws REQUEST_INVALID where {@link whyUntold} has a reason. */
export function tellStory(known: Known): Story {
  const { row, plan, records, isRunning } = known;
  const why = whyUntold(row);
  if (why !== null) throw new BlocksagaError('REQUEST_INVALID', why);
  const machine = machineFor(plan);
  const entered = walk(machine, plan, records);
  const line = stationsOf(
    machine,
    entered.map(({ node }) => node),
  );
  const undos = undosOf(machine);
  const result = row.result as object | null as SagaResult | null;
  const waits = isWaiting(row, records);
  const disks = disksOf(plan, result);
  const visits = visitsOf(entered, line, undos);
  const takeovers = takeoversIn(records);
  return {
    saga: row.id,
    vm: row.vm,
    operation: row.operation,
    about: machine.root.description ?? '',
    address: row.address,
    createdAtMs: row.createdAtMs,
    endedAtMs: row.endedAtMs,
    outcome: row.state,
    isRunning: row.state === 'open' && isRunning,
    isWaiting: waits,
    stations: line.map(stationOf),
    gate: gateOf(line),
    undos: undos.map(node => undoOf(node, line)),
    visits,
    decisions: records.flatMap(({ kind, body, atMs }) =>
      kind === 'decision' ? [{ atMs, verdict: String(member(body, 'verdict')) }] : [],
    ),
    signals: signalsIn(records),
    takeovers,
    strandings: records.flatMap(({ kind, step, atMs }) =>
      kind === 'intent' && splitKey(step).step === RESCUE ? [atMs] : [],
    ),
    disks,
    pausedMs: pausedMs(result?.blackoutMs ?? null, line, visits, takeovers),
    error: errorOf(result, entered),
    leftovers: result?.leftovers ?? [],
    next: whatNext({ row, result, isWaiting: waits, isRunning, disks }),
    asks: row.state === 'open' && isRunning ? asksOf(plan, entered.at(-1)?.node) : [],
    resumes: isRunning ? [] : resumesOf(row, plan, records, entered.at(-1)?.node),
  };
}

function stationOf(node: AnyStateNode): Station {
  return {
    path: node.path,
    words: wordsOf(actorIn(node) ?? node.key),
    description: node.description ?? '',
    phase: wordsOf(node.parent?.key ?? ''),
    isPaused: node.tags.includes('guestPaused'),
  };
}

function undoOf(node: AnyStateNode, line: readonly AnyStateNode[]): Undo {
  const step = undoneBy(node);
  const station = line.findIndex(each => actorIn(each) === step);
  return {
    words: wordsOf(step ?? actorIn(node) ?? node.key),
    description: node.description ?? '',
    done: undoneDescription(step ?? '') || (node.description ?? ''),
    station: station < 0 ? null : station,
  };
}

/** The last station from which a saga can still roll back, where there are others behind it. */
function gateOf(line: readonly AnyStateNode[]): number | null {
  const first = line.findIndex(({ tags }) => tags.includes('decided'));
  return first > 0 ? first - 1 : null;
}

function visitsOf(
  entered: readonly Entered[],
  line: readonly AnyStateNode[],
  undos: readonly AnyStateNode[],
): readonly Visit[] {
  let last = 0;
  return entered.flatMap(({ node, attempts }): Visit[] => {
    const kind = kindOf(node);
    if (kind === 'end') return [];
    if (kind === 'backingOff') return [{ kind, at: last, attempts }];
    const at = (kind === 'undo' ? undos : line).indexOf(node);
    if (kind === 'station') last = at;
    return [{ kind, at, attempts }];
  });
}

/** What its last process has measured; from the records where the pause went from one process to the next. */
function pausedMs(
  measured: number | null,
  line: readonly AnyStateNode[],
  visits: readonly Visit[],
  takeovers: Story['takeovers'],
): number | null {
  const times = visits
    .filter(({ kind, at }) => kind === 'station' && line[at]?.tags.includes('guestPaused'))
    .flatMap(({ attempts }) => attempts);
  const [fromMs, toMs] = [times[0]?.beganAtMs, times.at(-1)?.endedAtMs];
  if (measured === null || fromMs === undefined || typeof toMs !== 'number') return measured;
  const isCut = takeovers.some(({ atMs }) => atMs > fromMs && atMs < toMs);
  return isCut ? Math.max(measured, toMs - fromMs) : measured;
}

/** The signals that the chart handles where the saga is, and the speed of its jobs where it has any. */
function asksOf(plan: Plan, node: AnyStateNode | undefined): readonly string[] {
  if (node === undefined) return [];
  const signals = SIGNALS.filter(signal => node.transitions.has(signal));
  const hasSpeed = stagesOf(plan).some(stage => 'speed' in stage.plan) && node.tags.includes('reversible');
  return [...signals, ...(hasSpeed && !node.tags.includes('guestPaused') ? [SET_SPEED] : [])];
}

/** A saga that needs recovery is not asked for more than that; one that is being recovered offline can only be that. */
function resumesOf(
  row: SagaRow,
  plan: Plan,
  records: readonly JournalRecord[],
  node: AnyStateNode | undefined,
): readonly string[] {
  if (row.state === 'committed' || row.state === 'rolledBack' || offlineProgress(records).begun) return [];
  const signals = row.state === 'open' ? asksOf(plan, node).filter(signal => signal !== SET_SPEED) : [];
  return ['resume', ...signals];
}

/** Why it ended as it did, or, before it has ended, what failed last. */
function errorOf(result: SagaResult | null, entered: readonly Entered[]): Story['error'] {
  const error: ErrorRecord | null = result?.error ?? null;
  if (error !== null) return failureOf(error);
  if (result !== null) return null;
  return entered.flatMap(({ attempts }) => attempts).findLast(({ error }) => error !== null)?.error ?? null;
}
