/**
 * How the guests of a group are paused together: all of a host are looked at in front of that. In one write with a `stop` goes the
 * transaction that takes the snapshots of a guest, with what has to be seen behind it: each time that a member waits for its QEMU all
 * guests of the group are paused. What became of the snapshots is the next step's to tell, and to undo.
 */
import { BlocksagaError, type ErrorRecord } from '../../errors.ts';
import { readGraph } from '../../guest/graph.ts';
import { holdGuest, type Paused, pausedIn, readPause, wasPausedByUs } from '../../guest/hold-guest.ts';
import { expectNotMigrating, SIGHT, sightOf } from '../../guest/migration.ts';
import type { SnapshotPlan } from '../../plan/plan.ts';
import type { Command, Reply } from '../../qmp/client.ts';
import type { Replies } from '../../qmp/commands.ts';
import type { Json } from '../../qmp/transport.ts';
import { expectNames } from '../prepare/expect-names.ts';
import { barrierOf } from '../step/barrier.ts';
import { valueForDisks } from '../step/blame.ts';
import { resumedByThirdParty } from '../step/expect-paused.ts';
import type { StepContext } from '../step/step.ts';
import { transactionOf } from './snapshot-actions.ts';

/** A pause in which the snapshots were taken with `stop`; the record of why they could not be. */
export type PausedWithGroup = Paused & { readonly taken: true | Json };

/** What an outcome of `pauseGuest` says of them; `unknown` where an attempt may have taken them of which no answer came. */
type Taken = 'taken' | 'notSent' | 'unknown' | { readonly error: BlocksagaError };

export function takenIn(record: Json | undefined): Taken {
  if (typeof record !== 'object' || record === null || !('taken' in record)) return 'unknown';
  const { taken } = record;
  if (taken === true) return 'taken';
  if (typeof taken !== 'object' || taken === null) return 'notSent';
  return { error: BlocksagaError.fromRecord(taken as unknown as ErrorRecord) };
}

/** For how long a look in front is good, in milliseconds, while the others are waited for. */
const STALE_MS = 50;

/** What was seen of a guest right in front of its pause. */
type InFront = Awaited<ReturnType<typeof lookInFront>>;

/** All that can be is sent before the others of the group are waited for; who has waited long for them looks once more. */
export async function meetInFront(context: StepContext, marks: readonly Command[]): Promise<InFront> {
  const { clock, observed } = context;
  const first = await lookInFront(context, marks);
  const seenMs = clock.now();
  await barrierOf(context).looked();
  const isStale = clock.now() - seenMs > STALE_MS;
  const last = isStale ? await lookInFront(context, marks) : first;
  if (wasPausedByUs(observed)) context.pauseBegins();
  return last;
}

/** Stops the guest and takes its snapshots. */
export async function takeWithStop(
  context: StepContext<SnapshotPlan>,
  { told, migration }: InFront,
): Promise<PausedWithGroup> {
  const { qmp, plan, observed } = context;
  if (!wasPausedByUs(observed)) return { ...readPause(observed), taken: null };
  const { paused, migrating, replies } = await holdGuest(qmp, takingWith(plan, migration), { told });
  context.heldAgain(paused);
  if (migrating !== undefined) throw migrating;
  return { ...paused, taken: whyNotTaken(plan, replies) };
}

/**
 * QEMU makes the overlays by their names, and opens the images below them anew by theirs. A migration that has begun since this was
 * planned ends the saga before the guest notices; an undo resumes no guest that a third party has paused for it.
 */
async function lookInFront(context: StepContext, marks: readonly Command[]) {
  const answers: readonly Reply[] = await context.qmp.pipeline([...marks, ...SIGHT]);
  const [status, told] = answers.slice(marks.length) as unknown as Replies<typeof SIGHT>;
  const sight = sightOf(status, told);
  context.heldAgain(pausedIn(sight));
  expectNotMigrating(sight);
  const { plan } = context;
  const isMadeInPause = plan.operation === 'snapshot' && plan.method !== 'transaction';
  await expectNames(context, isMadeInPause ? 'claimed' : 'opened');
  return { told, migration: sight.migration };
}

/**
 * Of a guest that ran when a later attempt has stopped it. Throws FOREIGN where an earlier attempt has taken the snapshots: it has run on
 * them while others of the group may not have been paused yet.
 */
export async function expectNotTaken({ qmp, plan }: StepContext<SnapshotPlan>): Promise<void> {
  const graph = await readGraph(qmp);
  if (plan.disks.some(graph.showsImage)) throw resumedByThirdParty();
}

/**
 * The transaction, and what has to be looked at in the pause: a migration. The run state is asked for only where it may tell more
 * than that the guest is paused: where an earlier migration has ended, it alone tells of another one that has ended since.
 */
export function takingWith(plan: SnapshotPlan, migration: string | null): readonly Command[] {
  const [status, migrate] = SIGHT;
  return [transactionOf(plan), migrate, ...(migration === 'none' ? [] : [status])];
}

/** Throws why the snapshots were not taken, or are of no use. */
export function expectTaken({ disks }: SnapshotPlan, replies: readonly Reply[]): void {
  const [taken, migration, status] = replies as readonly [
    Reply,
    Replies<typeof SIGHT>[1],
    Replies<typeof SIGHT>[0]?,
  ];
  valueForDisks(disks, taken);
  const sight = sightOf(status ?? PAUSED, migration);
  expectNotMigrating(sight, 'applied');
  if (sight.running) throw resumedByThirdParty();
}

/** The run state of a guest that this saga has paused. */
const PAUSED = { ok: true, value: { running: false, status: 'paused' } } as const;

function whyNotTaken(plan: SnapshotPlan, replies: readonly Reply[]): Json {
  try {
    expectTaken(plan, replies);
    return true;
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    return error.toJSON() as unknown as Json;
  }
}
