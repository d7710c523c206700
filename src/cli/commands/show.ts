/** `blocksaga show SAGA`: one saga, with everything that it did, from its records in the journal. Only reads, and asks. */
import type { Command } from 'commander';
import { checkedJournal, planOf } from '../../engine/durable/checked-journal.ts';
import { GROUP, membersIn } from '../../engine/durable/group-register.ts';
import { LEADER_LOST } from '../../engine/durable/leader-lost.ts';
import type { SagaResult } from '../../engine/running/result.ts';
import { mirrorsInWords } from '../../engine/running/waiting.ts';
import { BlocksagaError } from '../../errors.ts';
import type { Journal, JournalRecord, SagaRow } from '../../journal/journal.ts';
import { isHeldNow } from '../../journal/lease.ts';
import { sagaIsUnknown } from '../../journal/refusals.ts';
import { svgOf } from '../../railway/draw.ts';
import { sceneAt } from '../../railway/scene.ts';
import { stagesOf } from '../../steps/stages.ts';
import { tellStory, whyUntold } from '../../story/tell.ts';
import { readChoice } from '../options/option-values.ts';
import { addJournalOption, addJsonOption, journalOf } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { jsonLine } from '../print/json-lines.ts';
import { linesOf } from '../print/printable.ts';
import { recordsInWords } from '../print/records-in-words.ts';
import { storyInWords } from '../print/story-in-words.ts';
import { besidesInWords, resultInWords } from '../print/summary.ts';
import { timeInWords } from '../print/words.ts';
import { readJournal } from '../saga/read-journal.ts';
import { withClient } from '../saga/with-client.ts';
import { describeSaga, sagaInWords } from './sagas.ts';

const HELP = `
Examples:
  $ blocksaga show 4kq2p9v1x0c7m
  $ blocksaga show 4kq2p9v1x0c7m --format svg > saga.svg
  $ blocksaga show 4kq2p9v1x0c7m --json
  $ blocksaga show nightly-2026-11-29

It tells the saga as a story: what it did, what failed, with QEMU's words, what was undone, where each disk is and what
to do next; then every record of it.

Of a copy that waits at READY and whose process has ended, QEMU is asked whether its mirrors still follow the guest.

With --format svg the saga is one picture, a file of its own: its steps, what failed and was undone, where each disk is.

With --json the first line has "type": "saga" with request, result and mirrors, and each further one is a "record".`;

interface ShowOptions {
  readonly journal?: string;
  readonly json?: boolean;
  readonly format?: (typeof FORMATS)[number];
}

const FORMATS = ['text', 'svg'] as const;

export function defineShow(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('show')
    .summary('show one saga: its steps and what came of them')
    .description('Shows one saga of the journal: its disks, its steps and their outcomes, and how it ended.')
    .argument('<saga>', 'the saga\'s id, as "blocksaga sagas" lists them')
    .option('--format <format>', 'text, or svg, a picture (default: text)', readChoice('--format', FORMATS))
    .addHelpText('after', HELP);
  addJsonOption(addJournalOption(command), 'one JSON object for the saga, then one per record').action(
    async (id: string, options: ShowOptions) => {
      const { row, records, members } = await readJournal(journalOf(options, context), context, journal => ({
        row: checkedJournal(journal).saga(id),
        records: checkedJournal(journal).records(id),
        members: membersOf(id, journal),
      }));
      if (row === undefined) throw sagaIsUnknown(id);
      if (options.format === 'svg') refusePictureOfGroup(row);
      const running = row.state === 'open' && isHeldNow(row, context.clock);
      if (options.format === 'svg') {
        const story = tellStory({ row, plan: planOf(row), records, isRunning: running });
        const atMs = row.endedAtMs ?? context.clock.epochMs();
        for (const line of linesOf(svgOf(sceneAt(story, atMs)))) context.write(line);
        finished(EXIT.done);
        return;
      }
      const shown = describeSaga(row, records, running);
      const mirrors = shown.waiting && !running ? await askMirrors(row, context) : null;
      const seen = { row, records, members, shown, mirrors };
      const lines = options.json ? asJson(seen) : asText(seen);
      for (const line of lines) context.write(line);
      finished(EXIT.done);
    },
  );
}

/** Of a group, as many as have been begun, and not been forgotten. */
function membersOf(id: string, journal: Journal): readonly SagaRow[] {
  const row = checkedJournal(journal).saga(id);
  const ids = row?.operation === GROUP ? membersIn(row) : [];
  return ids.flatMap(member => checkedJournal(journal).saga(member) ?? []);
}

function refusePictureOfGroup(row: SagaRow): void {
  if (row.operation !== GROUP) return;
  const why = `${row.id} is a group: each of its members has a picture of its own (${membersIn(row).join(', ')})`;
  throw new BlocksagaError('REQUEST_INVALID', why, { saga: row.id });
}

interface Seen {
  readonly row: SagaRow;
  readonly members: readonly SagaRow[];
  readonly records: readonly JournalRecord[];
  readonly shown: ReturnType<typeof describeSaga>;
  /** What has become of the mirrors of a saga that waits and that no process watches. */
  readonly mirrors: string | null;
}

async function askMirrors(row: SagaRow, context: CliContext): Promise<string> {
  if (row.address === '') return 'its mirrors are known to the program only that began it';
  try {
    return await withClient(row.address, context, qmp => mirrorsInWords(row.id, planOf(row), qmp));
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    return `QEMU cannot be asked about its mirrors: ${error.message}. If it has ended, "blocksaga resume --offline ${row.id}"`;
  }
}

function asJson({ row, records, shown, mirrors }: Seen): readonly string[] {
  return [
    jsonLine({ ...shown, mirrors, request: row.request, result: row.result }),
    ...records.map(record => jsonLine({ type: 'record', ...record })),
  ];
}

function asText({ row, records, members, shown, mirrors }: Seen): readonly string[] {
  if (row.operation === GROUP) {
    return [
      sagaInWords(shown),
      ...members.map(({ id, state, vm }) => `  saga ${id}: ${state}, VM ${vm}`),
      ...(members.length < membersIn(row).length ? ['  others were not begun, or have been forgotten'] : []),
      ...recordsInWords(records.filter(({ step }) => step === LEADER_LOST)).map(line => `  ${line}`),
      ...(row.endedAtMs === null ? [] : [`  ended ${timeInWords(row.endedAtMs)}`]),
    ];
  }
  return [
    `saga ${sagaInWords(shown)}`,
    `  monitor: ${row.address === '' ? 'given by a program' : row.address}`,
    ...told({ row, records, shown, mirrors }).map(line => `  ${line}`),
    '  Every record',
    ...recordsInWords(records).map(line => `    ${line}`),
    ...(row.endedAtMs === null ? [] : [`    ended ${timeInWords(row.endedAtMs)}`]),
  ];
}

/** Its story by its chart; of one without a chart that is known here, its images and its result. */
function told({ row, records, shown, mirrors }: Omit<Seen, 'members'>): readonly string[] {
  const result = row.result as object | null as SagaResult | null;
  const ofMirrors = mirrors === null ? [] : [mirrors];
  if (whyUntold(row) === null) {
    const story = tellStory({ row, plan: planOf(row), records, isRunning: shown.running });
    const besides = result === null ? [] : besidesInWords(result);
    return [...storyInWords(sceneAt(story)), ...besides, ...ofMirrors];
  }
  const images = stagesOf(planOf(row)).flatMap(({ plan }) =>
    plan.disks.map(disk => `${disk.disk}: ${disk.file}, new image ${disk.image.file}`),
  );
  return [...images, ...ofMirrors, ...(result === null ? [] : resultInWords(result))];
}
