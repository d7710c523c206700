/**
 * Stops a guest and resumes it, so that it ends in the state in which it was found. It is resumed only from a pause
 * that the saga brought about; QEMU is asked for that right in front of `cont`: a pipeline cannot branch, and `cont` in
 * `postmigrate` makes a second running guest on one set of disks.
 */
import { BlocksagaError } from '../errors.ts';
import type { Command, QmpClient, Reply } from '../qmp/client.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Replies } from '../qmp/commands.ts';
import type { Json } from '../qmp/transport.ts';
import { expectNotMigrating, isLive, lookAtGuest, SIGHT, type Sight, sightOf } from './migration.ts';

/** How often `cont` is sent before that is a failure. */
const CONT_TRIES_MAX = 3;
/** How long a guest that a migration holds at its end is waited for, before that is reported. */
const SWITCHOVER_DEADLINE_MS = 10_000;
const SWITCHOVER_POLL_MS = 10;

/**
 * For how long a look is good, in milliseconds: less than any migration takes from its command to its end (6 ms at the least,
 * seen with a paused guest of 32 MiB), and its answer is older than its question by what QEMU did in front of it.
 */
const FRESH_MS = 10;
const LOOK_TRIES_MAX = 3;

/** A pause of the guest: whose it is, and what was there before. */
export interface Paused {
  readonly [key: string]: Json;
  /** Whether it was the saga that stopped the guest; only then does the saga resume it. */
  readonly byUs: boolean;
  /** The run state in which the guest was found; null where a journal of an older release does not say. */
  readonly found: string | null;
  /** The status of the last migration before; null as above. */
  readonly migration: string | null;
}

/** What stopping this guest comes to: one that does not run, and is not in S3, stays as it is. */
export function pausedIn(before: Sight): Paused {
  return { byUs: isLive(before), found: before.status, migration: before.migration };
}

/** What a record says of a pause; older ones say less, and a bare `true` is that the guest ran. */
export function readPause(record: Json): Paused {
  const said = typeof record === 'object' && record !== null && !Array.isArray(record) ? record : {};
  const { byUs, found, migration } = said as { readonly [key: string]: Json };
  return {
    byUs: byUs === true || record === true,
    found: typeof found === 'string' ? found : null,
    migration: typeof migration === 'string' ? migration : null,
  };
}

/** The same pause, in which the guest was resumed: the saga has to resume it again. */
export function ranInside(record: Json | undefined): Paused {
  return { ...readPause(record ?? null), byUs: true };
}

/** Whether `pauseGuest` came to this: it was the saga that stopped the guest. */
export function wasPausedByUs(record: Json): boolean {
  return readPause(record).byUs;
}

/** What QEMU has answered of a migration. */
type MigrationTold = Replies<typeof SIGHT>[1];

/** A guest that was stopped. */
interface Held<L extends readonly Command[]> {
  readonly paused: Paused;
  /** MIGRATING, when a migration had begun before the `stop`. */
  readonly migrating: BlocksagaError | undefined;
  /** To what was sent in front of all. */
  readonly ahead: readonly Reply[];
  readonly replies: Replies<L>;
}

/**
 * Stops the guest where it runs, in one write with the look in front of it and with what is asked behind it. A guest that ran is
 * paused when QEMU has carried `stop` out. In S3 it depends on QEMU, which is asked: from 9.0 on `stop` holds back the wake-up,
 * and `cont` gives the guest back to its sleep; before, it does nothing.
 * `earlier` is a pause of this saga in which the guest may be still: found so, it stays the saga's. `ahead` goes in front of all; a
 * refusal there is of no consequence here. `told` is what was answered of a migration right before, which then is not asked again: one
 * that has begun since is for the caller to look for behind the `stop`.
 */
export async function holdGuest<const L extends readonly Command[]>(
  qmp: QmpClient,
  behind: L,
  {
    earlier,
    ahead = [],
    told,
  }: {
    readonly earlier?: Paused | undefined;
    readonly ahead?: readonly Command[];
    readonly told?: MigrationTold;
  } = {},
): Promise<Held<L>> {
  const [status, migrate] = SIGHT;
  const first = told === undefined ? [...ahead, migrate] : ahead;
  const answers = await qmp.pipeline([...first, status, { execute: 'stop' }, ...behind] as const);
  const [found, stopped, ...replies] = answers.slice(first.length) as [
    Replies<typeof SIGHT>[0],
    Reply<unknown>,
    ...Replies<L>,
  ];
  const before = sightOf(found, told ?? (answers[ahead.length] as MigrationTold));
  if (!stopped.ok) throw stopped.error;
  const reached = before.running
    ? 'paused'
    : isLive(before)
      ? (await lookAtGuest(qmp)).status
      : before.status;
  const byUs = before.running || (isLive(before) && reached === 'paused');
  return {
    paused: byUs || earlier === undefined ? { ...pausedIn(before), byUs } : earlier,
    migrating: migratedIn({ ...before, status: reached }),
    ahead: answers.slice(0, ahead.length),
    replies,
  };
}

/** MIGRATING, where the guest is being migrated, or has been in this pause. */
export function migratedIn(sight: Sight, paused?: Paused): BlocksagaError | undefined {
  try {
    expectNotMigrating(
      paused !== undefined && hasLeft(sight, paused) ? { ...sight, status: 'postmigrate' } : sight,
    );
    return undefined;
  } catch (error) {
    if (error instanceof BlocksagaError) return error;
    throw error;
  }
}

/**
 * Resumes the guest when it is still paused because of us, and asks whether it runs: a reply alone would also come from
 * a guest that has shut down, and one that has shut down or crashed refuses `cont` for a reason of its own. A command
 * that QEMU refuses is sent again at once, since a guest waits for it. A guest in any other state is left there; the
 * result says so. Throws MIGRATING when a migration holds the guest and does not end, or has ended while `cont` was on
 * its way.
 */
export async function resumeVcpus({ qmp, clock }: Monitored, paused: Paused, seen?: Seen): Promise<void> {
  let last = seen;
  for (let triesLeft = CONT_TRIES_MAX; ; triesLeft -= 1) {
    last = await lookFreshly({ qmp, clock }, last);
    if (last.sight.status === 'finish-migrate') last = await awaitSwitchover({ qmp, clock });
    if (!isHeldByUs(last.sight, paused)) return;
    const sentMs = clock.now();
    const [resumed, ...after] = await qmp.pipeline([{ execute: 'cont' }, ...SIGHT]);
    last = { sight: sightOf(...after), sentMs };
    if (isLive(last.sight) && hasLeft(last.sight, paused)) return stopTwin(qmp);
    if (triesLeft > 1 || !isHeldByUs(last.sight, paused)) continue;
    throw resumed.ok ? stillStands(last.sight) : resumed.error;
  }
}

/** A look, by when it was sent. */
export interface Seen {
  readonly sight: Sight;
  readonly sentMs: number;
}

interface Monitored {
  readonly qmp: QmpClient;
  readonly clock: Clock;
}

/** What a step came to that looked at the guest in its last write. */
export function seenAt(sight: Sight, sentMs: number): Json {
  return { sight: { ...sight }, sentMs };
}

/** The last look among what steps of this process came to. */
export function lastSeen(outcomes: ReadonlyMap<string, Json>): Seen | undefined {
  const seen = [...outcomes.values()].flatMap(value => (isSeen(value) ? [value] : []));
  return seen.sort((a, b) => a.sentMs - b.sentMs).at(-1);
}

function isSeen(value: Json): value is Json & Seen {
  return typeof value === 'object' && value !== null && 'sentMs' in value && 'sight' in value;
}

/** The last look where it is good still, or a new one; the last of several that come late is taken as it is. */
export async function lookFreshly({ qmp, clock }: Monitored, last?: Seen): Promise<Seen> {
  let seen = last;
  for (let triesLeft = LOOK_TRIES_MAX; ; triesLeft -= 1) {
    if (seen !== undefined && (triesLeft === 0 || clock.now() - seen.sentMs <= FRESH_MS)) return seen;
    const sentMs = clock.now();
    seen = { sight: await lookAtGuest(qmp), sentMs };
  }
}

/**
 * Whether the guest is in a state that our `stop` leads to, also through a third party's `system_reset` since, and is
 * still here.
 */
function isHeldByUs(sight: Sight, paused: Paused): boolean {
  return STOPPED_BY_COMMAND.has(sight.status) && !hasLeft(sight, paused);
}

/** Whether a migration has come to its end since the pause began; in the end of one that began before nothing is to be seen. */
function hasLeft({ status, migration }: Pick<Sight, 'status' | 'migration'>, paused: Paused): boolean {
  if (status === 'postmigrate') return true;
  return migration === 'completed' && paused.migration !== null && paused.migration !== 'completed';
}

/** Until a migration that has stopped the guest for its last bytes is over, or is cancelled. */
async function awaitSwitchover({ qmp, clock }: Monitored): Promise<Seen> {
  try {
    return await qmp.until(
      'the migration to end',
      async () => {
        const sentMs = clock.now();
        const sight = await lookAtGuest(qmp);
        return sight.status === 'finish-migrate' ? undefined : { sight, sentMs };
      },
      { wakeOn: ['MIGRATION'], deadlineMs: SWITCHOVER_DEADLINE_MS, pollMs: SWITCHOVER_POLL_MS },
    );
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code !== 'DEADLINE') throw error;
    throw new BlocksagaError(
      'MIGRATING',
      'a live migration began in the pause of the guest and holds it at its end (run state "finish-migrate"): when it is ' +
        'over or cancelled, run "blocksaga resume", which lets the guest run only if it has stayed here',
      { effect: 'unknown', cause: error },
    );
  }
}

/** The migration ended between our look and our `cont`: the guest runs on both sides, and has to stop on this one at once. */
async function stopTwin(qmp: QmpClient): Promise<never> {
  await qmp.execute('stop');
  throw new BlocksagaError(
    'MIGRATING',
    'a live migration came to its end while the guest was resumed here: it was stopped again at once, but may have written ' +
      'for a moment. Do not resume it here; check the disks on the side that it was migrated to',
    { effect: 'unknown' },
  );
}

function stillStands({ status }: Sight): BlocksagaError {
  return new BlocksagaError('VERIFY_FAILED', `the guest does not run after cont: its state is "${status}"`, {
    effect: 'notApplied',
    retryable: true,
  });
}

/** The states (`RunState`, qapi/run-state.json) in which `stop` leaves a guest. */
const STOPPED_BY_COMMAND: ReadonlySet<string> = new Set(['paused', 'prelaunch']);
