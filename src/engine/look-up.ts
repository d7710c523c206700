/** Which sagas there are, of all processes, as the journal tells: a page at a time, and no more is read. It changes nothing. */
import { BlocksagaError, type ErrorRecord } from '../errors.ts';
import { SAGA_STATES } from '../journal/filter.ts';
import type { Journal, SagaFilter, SagaRow, SagaState } from '../journal/journal.ts';
import { checkedJournal, sortedRows } from './durable/checked-journal.ts';
import { metadataOf } from './running/notices.ts';
import type { SagaResult } from './running/result.ts';
import type { Metadata } from './running/saga-types.ts';
import { isWaiting } from './running/waiting.ts';

/** As a saga is stored, but that one which waits at READY for a signal is told from one that works. */
export type SagaStanding = SagaState | 'waiting';

/** Which sagas are asked for; all that are given must hold. */
export interface SagaQuery {
  readonly vm?: string | undefined;
  /** `open` has those that wait, too. */
  readonly state?: SagaStanding | undefined;
  readonly operation?: string | undefined;
  /** Begun at or after it, in milliseconds since the epoch. */
  readonly since?: number | undefined;
  /** At most so many at once, 1 to 1000; 100 unless told. */
  readonly limit?: number | undefined;
  /** `next` of the page before. */
  readonly cursor?: string | undefined;
}

/** What is known of a saga without its handle. */
export interface SagaSummary {
  readonly id: string;
  readonly vm: string;
  readonly operation: string;
  readonly state: SagaStanding;
  readonly address: string;
  readonly metadata: Metadata | undefined;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
  /** Why it ended as it did, where that was a failure. */
  readonly error: ErrorRecord | null;
  /** What of it cannot be read, in words. */
  readonly damage?: string;
}

/** Some sagas, newest first. */
export interface SagaPage {
  readonly sagas: readonly SagaSummary[];
  /** Where the next page begins; undefined behind the last one. */
  readonly next: string | undefined;
}

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

/** Throws REQUEST_INVALID, JOURNAL. */
export function listSagas(journal: Journal, query: SagaQuery): SagaPage {
  const { limit = LIMIT_DEFAULT, cursor } = query;
  expectQuery(journal, query);
  const sagas: SagaSummary[] = [];
  let before = cursor;
  for (;;) {
    const filter = filterOf(query, limit + 1 - sagas.length, before);
    const rows = journal
      .sagas(filter)
      .filter(row => matches(row, filter))
      .slice(0, filter.limit);
    sagas.push(...rows.map(row => summaryOf(journal, row)).filter(({ state }) => isAsked(query, state)));
    before = rows.at(-1)?.id;
    if (sagas.length > limit) return { sagas: sagas.slice(0, limit), next: sagas[limit - 1]?.id };
    if (rows.length < (filter.limit ?? 0) || before === undefined) return { sagas, next: undefined };
  }
}

/** A query may come over HTTP as it is; what cannot be meant must not look like "there are none". */
function expectQuery(
  journal: Journal,
  { limit = LIMIT_DEFAULT, state, since = 0, cursor, ...rest }: SagaQuery,
): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX)
    refuse('limit', `${limit} is not 1 to ${LIMIT_MAX}`);
  if (state !== undefined && !STANDINGS.includes(state))
    refuse('state', `"${state}" is none of ${STANDINGS.join(', ')}`);
  if (!Number.isFinite(since)) refuse('since', `${since} is no time in milliseconds`);
  if (cursor !== undefined && journal.saga(cursor) === undefined)
    refuse('cursor', `there is no saga "${cursor}", or none any more: begin with the first page again`);
  const [unknown] = Object.keys(rest).filter(name => name !== 'vm' && name !== 'operation');
  if (unknown !== undefined) refuse(unknown, 'sagas are not looked up by that');
}

export const STANDINGS: readonly SagaStanding[] = SAGA_STATES.flatMap(state =>
  state === 'open' ? [state, 'waiting'] : [state],
);

function refuse(field: string, why: string): never {
  throw new BlocksagaError('REQUEST_INVALID', `${field}: ${why}`, {
    issues: [{ path: [field], message: why }],
  });
}

function filterOf({ vm, state, operation, since }: SagaQuery, limit: number, before: string | undefined) {
  return {
    limit,
    ...(vm === undefined ? {} : { vm }),
    ...(state === undefined ? {} : { state: state === 'waiting' ? 'open' : state }),
    ...(operation === undefined ? {} : { operation }),
    ...(since === undefined ? {} : { sinceMs: since }),
    ...(before === undefined ? {} : { before }),
  } as const satisfies SagaFilter;
}

/** A journal of the caller's own may know fewer of the members. */
function matches(row: SagaRow, { vm, state, operation, sinceMs }: SagaFilter): boolean {
  return (
    (vm ?? row.vm) === row.vm &&
    (state ?? row.state) === row.state &&
    (operation ?? row.operation) === row.operation &&
    row.createdAtMs >= (sinceMs ?? 0)
  );
}

function isAsked({ state: asked }: SagaQuery, state: SagaStanding): boolean {
  return asked !== 'waiting' || state === 'waiting';
}

function summaryOf(journal: Journal, row: SagaRow): SagaSummary {
  const { id, vm, operation, address, createdAtMs, endedAtMs } = row;
  const [damaged] = sortedRows([row]).damaged;
  const known = { id, vm, operation, address, createdAtMs, endedAtMs };
  if (damaged !== undefined)
    return { ...known, state: row.state, metadata: undefined, error: null, damage: damaged.why };
  const { error = null } = (row.result as object | null as SagaResult | null) ?? {};
  return { ...known, metadata: metadataOf(row), error, ...standingOf(journal, row) };
}

function standingOf(journal: Journal, row: SagaRow): Pick<SagaSummary, 'state' | 'damage'> {
  if (row.state !== 'open') return { state: row.state };
  try {
    return { state: isWaiting(row, checkedJournal(journal).records(row.id)) ? 'waiting' : 'open' };
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.saga !== row.id) throw error;
    return { state: 'open', damage: error.message };
  }
}
