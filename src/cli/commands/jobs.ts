/** `blocksaga jobs`: the block jobs of a guest, how far they are, and which are a saga's. Only asks. */
import type { Command } from 'commander';
import type { SagaRow } from '../../journal/journal.ts';
import type { JobInfo } from '../../qmp/jobs.ts';
import type { CliContext } from '../context.ts';
import { EXIT, type Finished } from '../exit-status.ts';
import { jsonLine } from '../json-lines.ts';
import { makerOf, readJournal } from '../read-journal.ts';
import { addJournalOption, addJsonOption, addQmpOption, journalOf } from '../shared-options.ts';
import { withClient } from '../with-client.ts';
import { progressInWords, statusInWords } from '../words.ts';

const HELP = `
Examples:
  $ blocksaga jobs --qmp /run/vm.qmp
  $ blocksaga jobs --qmp /run/vm.qmp --json

With --json there is one line for each job, with "type": "job".`;

interface JobsOptions {
  readonly qmp: string;
  readonly journal?: string;
  readonly json?: boolean;
}

export function defineJobs(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('jobs')
    .summary("list a guest's block jobs")
    .description("Lists QEMU's block jobs: what they do, how far they are, and which belong to a saga.")
    .addHelpText('after', HELP);
  addJsonOption(addJournalOption(addQmpOption(command)), 'one JSON object per job').action(
    async (options: JobsOptions) => {
      const infos = await withClient(options.qmp, context, client => client.execute('query-jobs'));
      const sagas = await readJournal(journalOf(options, context), journal => journal.sagas());
      const jobs = infos.map(info => describeJob(info, sagas)).sort(byId);
      if (options.json) for (const job of jobs) context.write(jsonLine(job));
      else if (jobs.length === 0) context.write('no block jobs');
      else for (const job of jobs) context.write(jobInWords(job));
      finished(EXIT.done);
    },
  );
}

/** QEMU lists the newest first; `...-2-mirror` comes before `...-10-mirror`. */
function byId(one: { readonly id: string }, other: { readonly id: string }): number {
  return one.id.localeCompare(other.id, 'en', { numeric: true });
}

function describeJob(info: JobInfo, sagas: readonly SagaRow[]) {
  const maker = makerOf(info.id, sagas);
  return {
    type: 'job',
    id: info.id,
    job: info.type,
    status: info.status,
    currentBytes: info['current-progress'],
    totalBytes: info['total-progress'],
    error: info.error ?? null,
    saga: maker?.saga ?? null,
    disk: maker?.disk ?? null,
  } as const;
}

function jobInWords(job: ReturnType<typeof describeJob>): string {
  const failed = job.error === null ? '' : `, failed: ${job.error}`;
  const whose = job.saga === null ? 'no saga of this journal' : `${job.disk} of saga ${job.saga}`;
  const progress = progressInWords(job.currentBytes, job.totalBytes);
  return `${job.id}: ${job.job}, ${statusInWords(job.status)}, ${progress}${failed}; ${whose}`;
}
