/** `blocksaga jobs`: the block jobs of a guest, how far they are, and which are a saga's. Only asks. */
import type { Command } from 'commander';
import { planOf } from '../../engine/durable/checked-journal.ts';
import { BlocksagaError } from '../../errors.ts';
import { listNodes } from '../../guest/graph.ts';
import type { Journal } from '../../journal/journal.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { sleep } from '../../qmp/clock.ts';
import type { JobInfo, JobStatus } from '../../qmp/jobs.ts';
import { valueIn } from '../../qmp/reply-values.ts';
import type { BlockDeviceInfo, BlockJobInfo } from '../../qmp/schema.generated.ts';
import { growingSizeInWords } from '../../railway/words.ts';
import { dirtyBytesOf } from '../../steps/step/mirror-lag.ts';
import { readCount } from '../options/option-values.ts';
import { addJournalOption, addJsonOption, addQmpOption, journalOf } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { jsonLine } from '../print/json-lines.ts';
import { progressInWords, statusInWords } from '../print/words.ts';
import { makerOf, openExistingJournal } from '../saga/read-journal.ts';
import { withClient } from '../saga/with-client.ts';
import { withJournal } from '../saga/with-journal.ts';

const HELP = `
A job is ready by its status alone. Equal figures do not mean that it is done: a mirror that has copied all goes on following
the guest, and what it has left to copy just then is told as "behind the guest". While a job has not ended, it is never shown
at 100 %, unless it is READY with nothing left.

--watch looks again every second, or every MS milliseconds, until no job is left or Ctrl-C. It holds the monitor meanwhile.

Examples:
  $ blocksaga jobs --qmp /run/vm.qmp
  $ blocksaga jobs --qmp /run/vm.qmp --json
  $ blocksaga jobs --qmp /run/vm.qmp --watch

With --json there is one line for each job, with "type": "job"; with --watch, one for each at every look.`;

const WATCH_MS = 1_000;
const WATCH_MS_MIN = 100;
/** A week, at the usual pace. */
const LOOKS_MAX = 7 * 24 * 60 * 60;

interface JobsOptions {
  readonly qmp: string;
  readonly journal?: string;
  readonly json?: boolean;
  readonly watch?: number | true;
}

export function defineJobs(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('jobs')
    .summary("list a guest's block jobs")
    .description("Lists QEMU's block jobs: what they do, how far they are, and which belong to a saga.")
    .option('--watch [ms]', 'look again and again, every so many milliseconds', readCount('--watch'))
    .addHelpText('after', HELP);
  addJsonOption(addJournalOption(addQmpOption(command)), 'one JSON object per job').action(
    async (options: JobsOptions) => {
      const everyMs = options.watch === true ? WATCH_MS : options.watch;
      if (everyMs !== undefined && everyMs < WATCH_MS_MIN) {
        const why = `--watch ${everyMs}: at least ${WATCH_MS_MIN} ms, for the guest's sake`;
        throw new BlocksagaError('REQUEST_INVALID', why);
      }
      await withJournal(openExistingJournal(journalOf(options, context)), context, journal =>
        withClient(options.qmp, context, async client => {
          const look = async () => tell(await askJobs(client, journal), options, context);
          if (everyMs === undefined) await look();
          else await watch(everyMs, look, context);
        }),
      );
      finished(EXIT.done);
    },
  );
}

/** Until no job is left, or Ctrl-C. */
async function watch(everyMs: number, look: () => Promise<number>, context: CliContext): Promise<void> {
  const enough = new AbortController();
  const stopListening = context.onInterrupt(() => enough.abort());
  try {
    for (let looks = 0; looks < LOOKS_MAX && !enough.signal.aborted; looks += 1) {
      if ((await look()) === 0) return;
      await sleep(context.clock, everyMs, enough.signal);
    }
  } finally {
    stopListening();
  }
}

/** Writes them, and gives how many there are. */
function tell(jobs: readonly ShownJob[], { json }: JobsOptions, context: CliContext): number {
  if (json) for (const job of jobs) context.write(jsonLine(job));
  else if (jobs.length === 0) context.write('no block jobs');
  else for (const job of jobs) context.write(jobInWords(job));
  return jobs.length;
}

async function askJobs(client: QmpClient, journal: Journal): Promise<readonly ShownJob[]> {
  const [infos, olderInfos, listed] = await client.pipeline([
    { execute: 'query-jobs' },
    { execute: 'query-block-jobs' },
    listNodes(client),
  ]);
  const [known, olderKnown, nodes] = [valueIn(infos), valueIn(olderInfos), valueIn(listed)];
  return known
    .map(info =>
      describeJob(
        info,
        olderKnown.find(job => job.device === info.id),
        nodes,
        journal,
      ),
    )
    .sort(byId);
}

/** QEMU lists the newest first; `...-2-job` comes before `...-10-job`. */
function byId(one: { readonly id: string }, other: { readonly id: string }): number {
  return one.id.localeCompare(other.id, 'en', { numeric: true });
}

/** A job as `--json` shows it. */
export type ShownJob = ReturnType<typeof describeJob>;

function describeJob(
  info: JobInfo,
  blockJob: BlockJobInfo | undefined,
  nodes: readonly BlockDeviceInfo[],
  journal: Journal,
) {
  const maker = makerOf(info.id, journal);
  const source = maker && planOf(maker.row).disks.find(({ disk }) => disk === maker.disk.disk)?.node;
  const dirtyBytes = isReady(info.status) && source !== undefined ? dirtyBytesOf([source], nodes) : null;
  return {
    type: 'job',
    id: info.id,
    job: info.type,
    status: info.status,
    ready: isReady(info.status),
    currentBytes: info['current-progress'],
    totalBytes: info['total-progress'],
    /** What a READY mirror of a saga has left to copy just now; null where QEMU does not tell it of this job. */
    dirtyBytes,
    /** 0 is no limit; null for a job that has none. */
    speedBytesPerSecond: blockJob?.speed ?? null,
    error: info.error ?? null,
    saga: maker?.row.id ?? null,
    disk: maker?.disk.disk ?? null,
  } as const;
}

function isReady(status: JobStatus): boolean {
  return status === 'ready' || status === 'standby';
}

/** One line of the list. */
export function jobInWords(job: ShownJob): string {
  const failed = job.error === null ? '' : `, failed: ${job.error}`;
  const whose = job.saga === null ? 'no saga of this journal' : `${job.disk} of saga ${job.saga}`;
  return `${job.id}: ${job.job}, ${statusInWords(job.status)}, ${farInWords(job)}${speedInWords(job)}${failed}; ${whose}`;
}

/** Figures that are equal before the job is ready, or has ended, are shown as one byte short of it (see --help). */
function farInWords({ status, ready, currentBytes, totalBytes, dirtyBytes }: ShownJob): string {
  if (ready) {
    if (dirtyBytes === null) return `${growingSizeInWords(totalBytes)} copied`;
    return dirtyBytes === 0
      ? 'nothing is left to copy'
      : `${growingSizeInWords(dirtyBytes)} behind the guest`;
  }
  const isOver = status === 'pending' || status === 'concluded' || status === 'null';
  const shown = isOver ? currentBytes : Math.min(currentBytes, Math.max(0, totalBytes - 1));
  return progressInWords(shown, totalBytes);
}

function speedInWords({ speedBytesPerSecond }: ShownJob): string {
  return speedBytesPerSecond === null || speedBytesPerSecond === 0
    ? ''
    : `, at ${growingSizeInWords(speedBytesPerSecond)}/s at most`;
}
