/**
 * Runs a saga's chart once more over its records, without effects: each state that it entered, with what ran in it and when.
 * It believes the records as a resume does, and stops where they end.
 */
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyStateNode,
  initialTransition,
  transition,
} from 'xstate';
import { REENTRY, RESCUE } from '../engine/durable/history.ts';
import { MERGED_ELSEWHERE } from '../engine/durable/merged-elsewhere.ts';
import { RAN_ON_BOTH } from '../engine/durable/ran-on-both.ts';
import { SEEN_ON } from '../engine/durable/seen-on.ts';
import { WATCHED } from '../engine/durable/watched.ts';
import { BlocksagaError, type ErrorRecord } from '../errors.ts';
import { member } from '../journal/body.ts';
import type { JournalRecord } from '../journal/journal.ts';
import { takeoversIn } from '../journal/taken-over.ts';
import type { Plan } from '../plan/plan.ts';
import type { Json } from '../qmp/transport.ts';
import { splitKey } from '../steps/stages.ts';
import { actorIn, kindOf, leafOf } from './chart-line.ts';
import { failureOf } from './failure.ts';
import type { Attempt } from './story.ts';

/** A state that was entered. */
export interface Entered {
  readonly node: AnyStateNode;
  readonly attempts: readonly Attempt[];
}

/** What is recorded of one run of a step or an undo. */
interface Run {
  readonly step: string;
  readonly attempts: Attempt[];
  /** Whether its last attempt was begun by a takeover, and nothing is written of it yet. */
  isPickedUp: boolean;
  settled: { readonly error: ErrorRecord | null; readonly value: Json; readonly abort: boolean } | undefined;
}

export function walk(
  machine: AnyStateMachine,
  plan: Plan,
  records: readonly JournalRecord[],
): readonly Entered[] {
  const runs = runsIn(records);
  const entered: Entered[] = [];
  let [snapshot]: readonly [AnyMachineSnapshot, ...unknown[]] = initialTransition(machine, { plan });
  while (snapshot.status === 'active') {
    const node = leafOf(machine, snapshot.value);
    const actor = actorIn(node);
    const id = node.invoke[0]?.id;
    // The last resort is no step with an end of its own; what comes behind it is for the result to say.
    if (actor === undefined || id === undefined || kindOf(node) === 'end') break;
    const run = runs[0]?.step === actor ? runs.shift() : undefined;
    if (run === undefined) break;
    entered.push({ node, attempts: run.attempts });
    if (run.settled === undefined) break;
    [snapshot] = transition(machine, snapshot, endOf(id, run.settled));
  }
  return entered;
}

function endOf(id: string, { error, value, abort }: NonNullable<Run['settled']>) {
  return error === null
    ? { type: `xstate.done.actor.${id}`, actorId: id, output: { value, abort } }
    : { type: `xstate.error.actor.${id}`, actorId: id, error: BlocksagaError.fromRecord(error) };
}

/** In the order in which they were begun, as `History` reads them, with their times. */
function runsIn(records: readonly JournalRecord[]): Run[] {
  const runs: Run[] = [];
  let isStranded = false;
  for (const record of records) {
    const { kind, step, body, atMs } = record;
    const last = runs.at(-1);
    if (takeoversIn([record]).length > 0) {
      pickUp(last, atMs, isStranded);
      isStranded = false;
    }
    if (kind === 'intent' && splitKey(step).step === RESCUE) isStranded = true;
    if (NO_STEPS.has(splitKey(step).step)) continue;
    if (kind === 'intent') {
      const attempt = { beganAtMs: atMs, endedAtMs: null, error: null, cutAtMs: null };
      const isOpen = last?.step === step && last.settled === undefined;
      // It had only been looked at before: what took it over begins it again.
      if (isOpen && last.isPickedUp) last.attempts.splice(-1, 1, attempt);
      else if (isOpen) last.attempts.push(attempt);
      else runs.push({ step, attempts: [attempt], settled: undefined, isPickedUp: false });
      const run = runs.at(-1);
      if (run !== undefined) run.isPickedUp = false;
    } else if (kind === 'outcome') {
      const run = runs.findLast(each => each.step === step);
      if (run !== undefined) settle(run, body, atMs);
    }
  }
  return runs;
}

/** What no end is written of goes on in the process that took the saga over; where it was stranded, what had failed for good is tried again. */
function pickUp(run: Run | undefined, atMs: number, isStranded: boolean): void {
  if (run === undefined || (run.settled !== undefined && !isStranded)) return;
  const open = run.attempts.at(-1);
  if (open !== undefined && open.endedAtMs === null) run.attempts.splice(-1, 1, { ...open, cutAtMs: atMs });
  run.attempts.push({ beganAtMs: atMs, endedAtMs: null, error: null, cutAtMs: null });
  run.settled = undefined;
  run.isPickedUp = true;
}

/** A step that had failed for good is tried again by a resume: that is one more attempt. */
function settle(run: Run, body: Json, atMs: number): void {
  const error = member(body, 'error') as object | null as ErrorRecord | null;
  const open = run.attempts.at(-1);
  run.isPickedUp = false;
  const attempt = { endedAtMs: atMs, error: error === null ? null : failureOf(error) };
  if (open !== undefined && open.endedAtMs === null) run.attempts.splice(-1, 1, { ...open, ...attempt });
  else run.attempts.push({ beganAtMs: atMs, cutAtMs: null, ...attempt });
  run.settled = { error, value: member(body, 'value'), abort: member(body, 'abort') === true };
}

/** What is recorded besides the steps of a machine. */
const NO_STEPS: ReadonlySet<string> = new Set([
  WATCHED,
  SEEN_ON,
  MERGED_ELSEWHERE,
  RAN_ON_BOTH,
  RESCUE,
  REENTRY,
]);
