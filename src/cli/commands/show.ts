/** `blocksaga show SAGA`: one saga, with everything that it did, from its records in the journal. Only reads. */
import type { Command } from 'commander';
import type { SagaResult } from '../../engine/result.ts';
import { systemProcesses } from '../../journal/holder.ts';
import type { JournalRecord, SagaRow } from '../../journal/journal.ts';
import { sagaIsUnknown } from '../../journal/refusals.ts';
import type { CliContext } from '../context.ts';
import { EXIT, type Finished } from '../exit-status.ts';
import { jsonLine } from '../json-lines.ts';
import { planOf, readJournal } from '../read-journal.ts';
import { recordsInWords } from '../records-in-words.ts';
import { addJournalOption, addJsonOption, journalOf } from '../shared-options.ts';
import { resultInWords } from '../summary.ts';
import { timeInWords } from '../words.ts';
import { describeSaga, sagaInWords } from './sagas.ts';

const HELP = `
Examples:
  $ blocksaga show 4kq2p9v1x0c7m
  $ blocksaga show 4kq2p9v1x0c7m --json

With --json the first line has "type": "saga" with request and result, and each further one is a "record".`;

interface ShowOptions {
  readonly journal?: string;
  readonly json?: boolean;
}

export function defineShow(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('show')
    .summary('show one saga: its steps and what came of them')
    .description('Shows one saga of the journal: its disks, its steps and their outcomes, and how it ended.')
    .argument('<saga>', 'the saga\'s id, as "blocksaga sagas" lists them')
    .addHelpText('after', HELP);
  addJsonOption(addJournalOption(command), 'one JSON object for the saga, then one per record').action(
    async (id: string, options: ShowOptions) => {
      const { row, records } = await readJournal(journalOf(options, context), journal => ({
        row: journal.saga(id),
        records: journal.records(id),
      }));
      if (row === undefined) throw sagaIsUnknown(id);
      const running = row.state === 'open' && systemProcesses().isAlive(row.holder);
      const lines = options.json ? asJson(row, records, running) : asText(row, records, running);
      for (const line of lines) context.write(line);
      finished(EXIT.done);
    },
  );
}

function asJson(row: SagaRow, records: readonly JournalRecord[], running: boolean): readonly string[] {
  return [
    jsonLine({ ...describeSaga(row, running), request: row.request, result: row.result }),
    ...records.map(record => jsonLine({ type: 'record', ...record })),
  ];
}

function asText(row: SagaRow, records: readonly JournalRecord[], running: boolean): readonly string[] {
  const result = row.result as object | null as SagaResult | null;
  return [
    `saga ${sagaInWords(describeSaga(row, running))}`,
    `  monitor: ${row.address === '' ? 'given by a program' : row.address}`,
    ...planOf(row).disks.map(disk => `  ${disk.disk}: ${disk.file}, new image ${disk.image.file}`),
    '  steps:',
    ...recordsInWords(records).map(line => `    ${line}`),
    ...(row.endedAtMs === null ? [] : [`  ended ${timeInWords(row.endedAtMs)}`]),
    ...(result === null ? [] : resultInWords(result)),
  ];
}
