/** `blocksaga sagas`: what the journal knows. Only reads. */
import type { Command } from 'commander';
import { checkedJournal, expectReadable, planOf } from '../../engine/durable/checked-journal.ts';
import { GROUP, groupIn, membersIn } from '../../engine/durable/group-register.ts';
import { type SagaStanding, STANDINGS } from '../../engine/look-up.ts';
import { isWaiting, reasonOf } from '../../engine/running/waiting.ts';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import type { Journal, JournalRecord, SagaFilter, SagaRow } from '../../journal/journal.ts';
import { isHeldNow } from '../../journal/lease.ts';
import { isJournalThere } from '../../journal/look-for-file.ts';
import { inPages } from '../../journal/pages.ts';
import { pruneJournal } from '../../journal/prune.ts';
import { COMMIT_OFFLINE } from '../../operations/plan-commit-offline.ts';
import { readBetween, readChoice, readCount } from '../options/option-values.ts';
import { addJournalOption, addJsonOption, journalOf } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { jsonLine } from '../print/json-lines.ts';
import { countOf, timeInWords } from '../print/words.ts';
import { readJournal } from '../saga/read-journal.ts';

/** Unless it is said how many. */
const LISTED = 100;

const HELP = `
Examples:
  $ blocksaga sagas
  $ blocksaga sagas --vm web --state open
  $ blocksaga sagas --state waiting
  $ blocksaga sagas --state needsRecovery --json
  $ blocksaga sagas --limit 1000
  $ blocksaga sagas --prune --older-than 30

The state "open" has all sagas that have not ended, "waiting" those of them that wait at READY for a pivot or an abort.
The newest comes first. Without --json and --limit the newest ${LISTED} are listed, and it is said how to see the
others. With --json there is one line for each saga, with "type": "saga". --prune forgets sagas that ended well or were
rolled back, 90 days ago unless --older-than says otherwise, and lists their ids ("type": "pruned"). Open ones, and
those that need recovery, always stay. The id of a forgotten saga may be used again.`;

const OLDER_THAN_DAYS = 90;
const DAY_MS = 24 * 60 * 60_000;

interface SagasOptions {
  readonly vm?: string;
  readonly state?: SagaStanding;
  readonly limit?: number;
  readonly prune?: boolean;
  readonly olderThan?: number;
  readonly journal?: string;
  readonly json?: boolean;
}

export function defineSagas(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('sagas')
    .summary('list the sagas in the journal')
    .description('Lists the sagas in the journal, newest first.')
    .option('--vm <name>', 'only those of this VM')
    .option('--state <state>', `${STANDINGS.join(', ')}; see below`, readChoice('--state', STANDINGS))
    .option(
      '--limit <n>',
      `at most so many, the newest (default: ${LISTED}, with --json all)`,
      readBetween('--limit', 1, 1_000_000),
    )
    .option('--prune', 'forget sagas that ended long ago')
    .option(
      '--older-than <days>',
      `with --prune: how long ago (default: ${OLDER_THAN_DAYS})`,
      readCount('--older-than'),
    )
    .addHelpText('after', HELP);
  addJsonOption(addJournalOption(command), 'one JSON object per saga').action(
    async ({ vm, state, limit, ...options }: SagasOptions) => {
      if (options.prune) {
        refuseFilter({ vm, state });
        prune(options, context);
        finished(EXIT.done);
        return;
      }
      if (options.olderThan !== undefined) {
        throw new BlocksagaError('REQUEST_INVALID', '--older-than goes with --prune');
      }
      const filter: SagaFilter = definedOnly({ vm, state: state === 'waiting' ? 'open' : state });
      const file = journalOf(options, context);
      const most = limit ?? (options.json ? Infinity : LISTED);
      let listed = 0;
      await readJournal(file, context, journal => {
        for (const row of inPages(journal, filter)) {
          const saga = describeRow(row, journal, context);
          if (state === 'waiting' && !saga.waiting) continue;
          if (listed === most) {
            if (!options.json) for (const line of othersInWords(journal, filter, most)) context.write(line);
            break;
          }
          listed += 1;
          context.write(options.json ? jsonLine(saga) : sagaInWords(saga));
        }
      });
      if (listed === 0 && !options.json) context.write(noneInWords(file, filter));
      finished(EXIT.done);
    },
  );
}

/** What is older than those that are listed, the ones that need recovery by name. */
function othersInWords(journal: Journal, filter: SagaFilter, most: number): readonly string[] {
  const recover =
    filter.state === undefined ? journal.sagas({ ...filter, state: 'needsRecovery', limit: 1 }) : [];
  return [
    `older ones are not listed: --limit N lists more than ${most}`,
    ...(recover.length === 0
      ? []
      : ['some need recovery: "blocksaga sagas --state needsRecovery" lists all of these']),
  ];
}

function describeRow(row: SagaRow, journal: Journal, { clock }: Pick<CliContext, 'clock'>): ShownSaga {
  const running = row.state === 'open' && isHeldNow(row, clock);
  try {
    expectReadable(row);
    const records = row.state === 'open' ? checkedJournal(journal).records(row.id) : [];
    return describeSaga(row, records, running);
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.saga !== row.id) throw error;
    return describeDamaged(row, running, error.message);
  }
}

/** Whose journal was looked for elsewhere must see where. */
function noneInWords(file: string, filter: object): string {
  if (!isJournalThere(file)) return `no sagas: there is no journal ${file}`;
  return Object.keys(filter).length === 0 ? `no sagas in ${file}` : `no such sagas in ${file}`;
}

/** All that is old goes, or nothing: half a history misleads. */
function refuseFilter({ vm, state }: Record<'vm' | 'state', string | undefined>): void {
  if (vm === undefined && state === undefined) return;
  throw new BlocksagaError(
    'REQUEST_INVALID',
    '--prune takes no --vm and no --state: only how old a saga is counts',
  );
}

function prune(options: SagasOptions, context: CliContext): void {
  const file = journalOf(options, context);
  const beforeMs = context.clock.epochMs() - (options.olderThan ?? OLDER_THAN_DAYS) * DAY_MS;
  // Looking for what is old must not make a journal.
  const pruned = isJournalThere(file) ? pruneJournal(file, beforeMs, context.clock) : [];
  if (options.json) for (const id of pruned) context.write(jsonLine({ type: 'pruned', id }));
  else context.write(pruned.length === 0 ? 'nothing is that old' : `forgotten: ${pruned.join(', ')}`);
}

/** A saga of the journal as `--json` shows it. `running`: its process is alive; `waiting`: at READY, for a word. */
export function describeSaga(row: SagaRow, records: readonly JournalRecord[], running: boolean) {
  return {
    type: 'saga',
    id: row.id,
    vm: row.vm,
    operation: row.operation,
    state: row.state,
    running,
    waiting: isWaiting(row, records),
    reason: reasonOf(row),
    disks: planOf(row).disks.map(disk => disk.disk),
    ...(row.operation === GROUP ? { members: membersIn(row) } : {}),
    ...definedOnly({ group: groupIn(row) }),
    address: row.address,
    createdAtMs: row.createdAtMs,
    endedAtMs: row.endedAtMs,
  } as const;
}

/** One that cannot be read, beside those that can; its columns are still known. */
function describeDamaged(row: SagaRow, running: boolean, damage: string) {
  const { id, vm, operation, state, address, createdAtMs, endedAtMs } = row;
  const unknown = { waiting: false, reason: damage, disks: [] } as const;
  return {
    type: 'saga',
    id,
    vm,
    operation,
    state,
    running,
    ...unknown,
    address,
    createdAtMs,
    endedAtMs,
  } as const;
}

/** The same in one line. */
export function sagaInWords(saga: ShownSaga): string {
  const { id, state, operation, vm, disks, createdAtMs } = saga;
  if ('members' in saga && saga.members !== undefined)
    return `${id}: ${state}${lifeInWords(saga)}, group of ${countOf(saga.members.length, 'guest')}, begun ${timeInWords(createdAtMs)}`;
  return `${id}: ${state}${lifeInWords(saga)}, ${operation} of ${countOf(disks.length, 'disk')} of VM ${vm}, begun ${timeInWords(createdAtMs)}`;
}

type ShownSaga = ReturnType<typeof describeSaga> | ReturnType<typeof describeDamaged>;

function lifeInWords(saga: ShownSaga): string {
  const { id, state, operation, running, waiting, reason } = saga;
  if (state !== 'open' || reason !== null) return reason === null ? '' : ` (${reason})`;
  const waits = waiting ? 'waits at READY; ' : '';
  if (running) return ` (${waits}its process is running)`;
  const resume = operation === COMMIT_OFFLINE ? 'resume --offline' : 'resume';
  const next = waiting
    ? `so no process watches its mirrors: "blocksaga show ${id}" asks QEMU`
    : `continue with "blocksaga ${resume} ${id}"`;
  return ` (${waits}its process has ended, ${next})`;
}
