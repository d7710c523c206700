/**
 * Resumes and thaws the guest when a saga can do no more. Before that the journal must say on which side the disks are;
 * where the journal cannot be written, the guest is resumed only on the side that it names already.
 */
import { BlocksagaError } from '../../errors.ts';
import { readGraph } from '../../guest/graph.ts';
import { isMigrating, lookAtGuest } from '../../guest/migration.ts';
import type { NewRecord } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';
import { ALL_STEPS, GUEST_FIRST, type StepName } from '../../steps/all-steps.ts';
import { findHalfBack } from '../../steps/mirror/half-back.ts';
import { inAnyCase } from '../../steps/step/in-any-case.ts';
import type { Step, StepContext } from '../../steps/step/step.ts';
import { intent, RESCUE, staysPaused } from './history.ts';
import { isEdge } from './pause.ts';

/** How a stranded saga is recorded: its guest may be paused, and is resumed before the journal is waited for. */
export const SOON = { durable: true, withinMs: 1_000 } as const;

/** What is known of the saga that can do no more. */
export interface Stranded {
  /** The last decision that is durable; `unsure` when one may or may not have been written after it. */
  readonly decision: 'forward' | 'back' | 'unsure' | undefined;
  readonly outcomes: ReadonlyMap<string, Json>;
  /** Whether this process, or an earlier one, has begun the step. */
  hasBegun(name: StepName): boolean;
  context(name: StepName): Promise<StepContext>;
  /** Tries until it succeeds, or as often as is worth it. */
  insist(act: () => Promise<void>): Promise<void>;
  /** Writes to the journal that the saga can do no more, and then whether its guest was resumed. */
  record(what: NewRecord): Promise<void>;
}

/** Throws the first failure after having tried all; VM_BUSY, with nothing done, when the VM is another process's by now. */
export async function rescueGuest(stranded: Stranded): Promise<void> {
  const failures: unknown[] = [];
  await stranded.record(intent(RESCUE, null)).catch(error => failures.push(error));
  const [refusal] = failures;
  // Any other failure, also of a journal that the caller passed, only says that it was not written.
  if (refusal instanceof BlocksagaError && refusal.code !== 'JOURNAL') throw refusal;
  const isRecorded = refusal === undefined;
  let isHeld = false;
  for (const [name, over] of GUEST_FIRST) {
    const step: Step = ALL_STEPS[name];
    if (!stranded.hasBegun(name) || stranded.outcomes.has(over) || !('undo' in step)) continue;
    const act = async () => {
      const context = await stranded.context(name);
      const undo = async (): Promise<void> => {
        isHeld &&= !isEdge(step);
        await step.undo(context, stranded.outcomes.get(name));
      };
      // A thaw changes nothing on any side.
      if (!isEdge(step)) return undo();
      isHeld = true;
      await expectNotLeaving(context);
      const halfBack = SWITCHES_OF_MIRRORS.some(stranded.hasBegun) ? await findHalfBack(context) : undefined;
      if (halfBack !== undefined) return void failures.push(halfBack);
      if (isRecorded) return inAnyCase(context.recordSides(), undo);
      await standWhereRecorded(stranded, context);
      return undo();
    };
    await stranded.insist(act).catch(error => failures.push(error));
  }
  if (isHeld) await stranded.record(staysPaused()).catch(error => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** Their undo may put overlays back one after the other. */
const SWITCHES_OF_MIRRORS: readonly StepName[] = ['finalizeMirrors', 'completeMirrors'];

/** Throws MIGRATING where the guest is on new images and a migration leads to a QEMU that has the old ones: it stays paused. */
async function expectNotLeaving({ plan, qmp }: StepContext): Promise<void> {
  if (!changesFronts(plan) || !isMigrating(await lookAtGuest(qmp))) return;
  const graph = await readGraph(qmp);
  if (!plan.disks.some(graph.showsImage)) return;
  throw new BlocksagaError(
    'MIGRATING',
    'a live migration is under way while disks of the guest are on their new images, and the other side has opened the old ' +
      'ones: the guest stays paused, for it to write nothing that is not there. Cancel the migration (migrate_cancel), then ' +
      'run "blocksaga resume"',
    { effect: 'notApplied' },
  );
}

/** Puts the disks on the side that the journal names; the guest is paused, so both are the same. Throws JOURNAL. */
async function standWhereRecorded(stranded: Stranded, context: StepContext): Promise<void> {
  const { plan, qmp } = context;
  const { decision } = stranded;
  const onImage = async () => plan.disks.filter((await readGraph(qmp)).showsImage).length;
  if (decision === 'unsure') throw mustStand('whether the decision is on its disk is not known');
  const wanted = decision === 'forward' && changesFronts(plan) ? plan.disks.length : 0;
  if (wanted === 0 && (await onImage()) > 0) {
    for (const name of switchesOf(plan)) {
      const step: Step = ALL_STEPS[name];
      if ('undo' in step) await step.undo(await stranded.context(name), stranded.outcomes.get(name));
    }
  }
  if ((await onImage()) !== wanted) throw mustStand('the disks are not where its last record says');
}

/** The steps that move disks to their new images while the guest is paused. */
function switchesOf(plan: Plan): readonly StepName[] {
  if (plan.operation === 'snapshot')
    return [plan.group === undefined ? 'takeSnapshotsOneByOne' : 'takeSnapshotInPause'];
  if (!('strategy' in plan) || plan.strategy === null) return [];
  const byStrategy = {
    reopen: 'reopenFilters',
    finalize: 'finalizeMirrors',
    complete: 'completeMirrors',
    rebase: 'rebaseOverlays',
  } as const;
  return [byStrategy[plan.strategy]];
}

function changesFronts(plan: Plan): boolean {
  return plan.operation === 'snapshot' || ('strategy' in plan && plan.strategy !== null);
}

function mustStand(why: string): BlocksagaError {
  return new BlocksagaError(
    'JOURNAL',
    `the guest stays paused, because the journal cannot be written and ${why}: repair the journal, then resume`,
    { effect: 'notApplied' },
  );
}

/** Whether the journal is as it was because it cannot be written (a full disk), not because the saga is another's now. */
export function isUnwritten(error: unknown): boolean {
  return error instanceof BlocksagaError && error.code === 'JOURNAL' && error.effect === 'notApplied';
}
