/**
 * Finds what dead sagas left behind: in the journal, on the disk, and in a QEMU. It explains each find in a sentence and
 * removes, when asked, only what belongs to a saga that has ended and what nothing uses. What an open saga needs is left
 * to its resume; what no saga of this journal has made is left alone.
 */

import { BlocksagaError } from '../../errors.ts';
import { endedStream } from '../../guest/ended-stream.ts';
import { type Files, removeFile } from '../../images/files.ts';
import type { Images } from '../../images/images.ts';
import { localFiles } from '../../images/local-files.ts';
import { localImages } from '../../images/local-images.ts';
import { systemProcesses } from '../../journal/holder.ts';
import type { Journal, Processes, SagaRow, SagaState } from '../../journal/journal.ts';
import { inPages } from '../../journal/pages.ts';
import { survey } from '../../operations/survey.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { type Clock, systemClock } from '../../qmp/clock.ts';
import { type Stage, stagesOf } from '../../steps/stages.ts';
import { planOf, sortedRows } from '../durable/checked-journal.ts';
import { inDoubt } from '../durable/group-in-doubt.ts';
import { GROUP, membersIn } from '../durable/group-register.ts';
import { recordsOfStage } from '../durable/stages.ts';
import { findTrace } from '../recovery/living-qemu.ts';
import { leftImages } from '../removal/drop-images.ts';
import { Makers } from '../removal/makers.ts';
import type { SagaResult } from '../running/result.ts';
import { isWaiting, mirrorsInWords } from '../running/waiting.ts';
import { damagedRow, recordsIn } from './damaged-sagas.ts';
import { examineQemu, nodesInUse, streamInTheWay } from './examine-qemu.ts';
import type { Finding, Removable } from './finding.ts';
import { oldNodes } from './old-nodes.ts';
import { ofOlderJournal } from './older-journal.ts';

/** What is examined; only the journal must be given. */
export interface DoctorOptions {
  readonly journal: Journal;
  /** A connection to the guest's QEMU; without it only the journal and the files are looked at. */
  readonly qmp?: QmpClient;
  readonly processes?: Processes;
  readonly clock?: Clock;
  /** Reads every saga of the journal, page by page, to see whether it can be read; else the newest and those that matter. */
  readonly readAll?: boolean;
  /** Has an older copy of the journal, which was put back, count as the newest: what it says may go can be removed then. */
  readonly acceptRestored?: boolean;
  readonly files?: Files;
  readonly images?: Images;
}

/** How many of the newest sagas are read for damage alone. */
const NEWEST_READ = 100;

/** Looks, and changes nothing. Throws as the journal, QEMU and the files do. */
export async function examine(options: DoctorOptions): Promise<readonly Removable[]> {
  const { journal, qmp, acceptRestored = false } = options;
  return ofOlderJournal(journal, await look(options), { acceptRestored, qmp });
}

async function look(options: DoctorOptions): Promise<readonly Removable[]> {
  const { journal, qmp, processes = systemProcesses(), clock = systemClock } = options;
  const { unended, withLeftovers, committed, damaged } = sagasToExamine(options);
  const makers = new Makers(journal, processes, clock.epochMs());
  const dead = unended.filter(row => makers.isDead(row));
  const stream = qmp === undefined ? undefined : await endedStream(qmp);
  if (stream !== undefined && qmp !== undefined)
    return [
      ...damaged.map(damagedRow),
      ...(await openSagas(dead, { journal })),
      ...streamInTheWay(stream, qmp, makers),
    ];
  const inQemu =
    qmp === undefined
      ? []
      : [...(await examineQemu(qmp, makers)), ...(await oldNodes(qmp, committed, await nodesInUse(qmp)))];
  const needed = qmp === undefined ? [] : (await survey(qmp)).filesInUse;
  return [
    ...damaged.map(damagedRow),
    ...(await openSagas(dead, options)),
    ...inQemu,
    ...(await examineFiles(options, withLeftovers, needed)),
  ];
}

/**
 * Those that have not ended, those that left something, and of all others as many as are asked for, to see whether they can
 * be read: a journal may have many thousands, which have nothing to tell.
 */
function sagasToExamine({ journal, readAll = false }: DoctorOptions) {
  const isOf = (state: SagaState) => (row: SagaRow) => row.state === state;
  const unended = (['open', 'needsRecovery'] as const).flatMap(state =>
    [...inPages(journal, { state })].filter(isOf(state)),
  );
  const withLeftovers = [...inPages(journal, { state: 'rolledBack', hasLeftovers: true })];
  const known = [...unended, ...withLeftovers];
  const others = readAll ? inPages(journal) : journal.sagas({ limit: NEWEST_READ });
  const damaged = new Map<string, { readonly row: SagaRow; readonly why: string }>();
  for (const rows of [known, others]) {
    for (const row of rows) for (const one of sortedRows([row]).damaged) damaged.set(row.id, one);
  }
  const readable = (row: SagaRow) => !damaged.has(row.id);
  return {
    unended: unended.filter(readable),
    withLeftovers: withLeftovers.filter(isOf('rolledBack')).filter(readable),
    committed: [...journal.sagas({ state: 'committed', limit: NEWEST_READ })].filter(readable),
    damaged: [...damaged.values()],
  };
}

async function openSagas(
  rows: readonly SagaRow[],
  { journal, qmp }: DoctorOptions,
): Promise<readonly Removable[]> {
  const found: Removable[] = [];
  for (const row of rows) {
    const { id, vm } = row;
    const sight = openSaga(row, journal);
    const records = recordsIn(journal, id);
    if (!Array.isArray(records)) found.push(records);
    else if (!isWaiting(row, records)) found.push(sight);
    else {
      const next = qmp === undefined ? `"blocksaga show ${id}" asks its QEMU` : await waitsInWords(row, qmp);
      found.push({
        ...sight,
        why: `this ${row.operation} on VM ${vm} waits at READY, and no process watches it: ${next}`,
      });
    }
  }
  return found;
}

/** Its mirrors, if this is its QEMU; it may as well be that of another VM. */
async function waitsInWords(row: SagaRow, qmp: QmpClient): Promise<string> {
  const plan = planOf(row);
  if ((await findTrace(qmp, plan)) !== undefined) return mirrorsInWords(row.id, plan, qmp);
  return `nothing of it is in this QEMU. If this is the QEMU of VM ${row.vm}, the one with its mirrors has ended: "blocksaga resume --offline ${row.id}"`;
}

function openSaga(row: SagaRow, journal: DoctorOptions['journal']): Removable {
  const { id, vm, operation, state } = row;
  const doubt = doubtOf(journal, row);
  const how = state === 'needsRecovery' ? 'needs recovery' : 'was left by a process that has ended';
  const what = operation === GROUP ? `group of ${membersIn(row).length} guests` : `${operation} on VM ${vm}`;
  return {
    kind: 'saga',
    name: id,
    saga: id,
    why:
      doubt === undefined
        ? `this ${what} ${how}: continue with "blocksaga resume ${id}", or when its QEMU is gone, "blocksaga resume --offline ${id}"`
        : `this ${what} ${how}: ${doubt}`,
    removable: false,
    remove: undefined,
  };
}

/** A member whose records cannot be read is a finding of its own. */
function doubtOf(journal: DoctorOptions['journal'], row: SagaRow): string | undefined {
  try {
    return inDoubt(journal, row);
  } catch (error) {
    if (error instanceof BlocksagaError && error.code === 'JOURNAL') return undefined;
    throw error;
  }
}

/** New images of sagas that were rolled back. A file that has taken such a name since is not a finding. */
async function examineFiles(
  { journal, files = localFiles, images = localImages }: DoctorOptions,
  rows: readonly SagaRow[],
  needed: readonly string[],
): Promise<readonly Removable[]> {
  const found: Removable[] = [];
  for (const { row, stage } of rows.flatMap(row => stagesOfRow(row).map(stage => ({ row, stage })))) {
    const { id } = row;
    const { disks } = stage.plan;
    const { leftovers } = row.result as object as SagaResult;
    const known = recordsIn(journal, id);
    if (!Array.isArray(known)) {
      found.push(known);
      continue;
    }
    const records = recordsOfStage(known, stage.name);
    const facts = { id, plan: { disks }, disks, records, needed, journal, files, images };
    for (const { file, claim, keeps } of await leftImages(facts)) {
      const about = { kind: 'file', name: file, saga: id } as const;
      if (claim !== undefined) {
        const why = `saga ${id} made it, was rolled back, and nothing uses it`;
        found.push({ ...about, why, removable: true, remove: () => removeFile(files, file, claim) });
      } else if (keeps === 'inUse' || (keeps === 'unproved' && leftovers.includes(file))) {
        const why = `saga ${id} left it behind, but ${KEEPS[keeps]}: it is left alone`;
        found.push({ ...about, why, removable: false, remove: undefined });
      }
    }
  }
  return found;
}

function stagesOfRow(row: SagaRow): readonly Stage[] {
  return stagesOf(planOf(row));
}

const KEEPS = {
  inUse: 'a program writes to it',
  unproved: 'it cannot be proved that it is the file that the saga made; remove it yourself if it is',
} as const;

/** Removes what may be removed, and says of each what came of it; what is in use after all stays. */
export async function removeFindings(
  findings: readonly Removable[],
): Promise<readonly { readonly finding: Finding; readonly removed: boolean; readonly why: string }[]> {
  const results = [];
  for (const finding of findings) {
    try {
      await finding.remove?.();
      results.push({ finding, removed: finding.remove !== undefined, why: finding.why });
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      results.push({
        finding,
        removed: false,
        why: `${finding.why}, but it could not be removed: ${error.message}`,
      });
    }
  }
  return results;
}
