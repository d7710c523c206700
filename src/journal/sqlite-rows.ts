/** Reads the rows of the journal's tables. It decides nothing about them. */
import type { SQLOutputValue } from 'node:sqlite';
import type { Json } from '../qmp/transport.ts';
import { decodeBody } from './body.ts';
import type { JournalRecord, RecordKind, SagaRow, SagaState } from './journal.ts';
import { recordIsDamaged } from './refusals.ts';

export type Row = Record<string, SQLOutputValue>;

/** A row that can be read only in part is given all the same, so that one cannot hide the others. */
export function sagaOf(row: Row): SagaRow {
  const broken: string[] = [];
  const read = (column: 'request' | 'plan' | 'result' | 'progress'): Json => {
    try {
      return decodeBody(String(row[column]));
    } catch {
      broken.push(column);
      return null;
    }
  };
  return {
    id: String(row['id']),
    vm: String(row['vm']),
    operation: String(row['operation']),
    planVersion: Number(row['plan_version']),
    address: String(row['address']),
    request: read('request'),
    plan: read('plan'),
    state: row['state'] as SagaState,
    result: row['result'] === null ? null : read('result'),
    createdAtMs: Number(row['created_at_ms']),
    endedAtMs: row['ended_at_ms'] === null ? null : Number(row['ended_at_ms']),
    holder: {
      pid: Number(row['holder_pid']),
      bootId: String(row['holder_boot_id']),
      startedAt: String(row['holder_started_at']),
      ...(row['holder_namespace'] === null ? {} : { namespace: String(row['holder_namespace']) }),
    },
    renewedAtMs: row['renewed_at_ms'] === null ? null : Number(row['renewed_at_ms']),
    ...(row['progress'] === null ? {} : { progress: read('progress') }),
    ...(broken.length === 0 ? {} : { damage: `its ${broken.join(' and its ')} cannot be read as JSON` }),
  };
}

export function recordOf(row: Row): JournalRecord {
  return {
    seq: Number(row['seq']),
    kind: row['kind'] as RecordKind,
    step: String(row['step']),
    body: bodyOf(row),
    atMs: Number(row['at_ms']),
  };
}

function bodyOf({ saga, seq, body }: Row): Json {
  try {
    return decodeBody(String(body));
  } catch (cause) {
    throw recordIsDamaged(String(saga), Number(seq), cause);
  }
}
