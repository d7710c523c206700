/** `blocksaga set-speed`: limits the jobs of a saga, or any one job, while they copy. Only asks and tells. */
import type { Command } from 'commander';
import { checkedJournal } from '../../engine/durable/checked-journal.ts';
import { SET_SPEED } from '../../engine/durable/history.ts';
import { expectSpeed, setJobSpeeds } from '../../engine/durable/speed.ts';
import { setSpeedElsewhere } from '../../engine/elsewhere.ts';
import { planToResume } from '../../engine/recovery/plan-to-resume.ts';
import { BlocksagaError } from '../../errors.ts';
import type { Journal } from '../../journal/journal.ts';
import { isHeldNow } from '../../journal/lease.ts';
import { sagaHasEnded, sagaIsUnknown } from '../../journal/refusals.ts';
import { whenFree } from '../../journal/waiting.ts';
import { createJobs, isVerbAllowed } from '../../qmp/jobs.ts';
import { growingSizeInWords } from '../../railway/words.ts';
import { expectMark } from '../../steps/pause/mark-qemu.ts';
import { readBytes } from '../options/option-values.ts';
import { addJournalOption, addJsonOption, journalOf } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { jsonLine } from '../print/json-lines.ts';
import { openExistingJournal } from '../saga/read-journal.ts';
import { withClient } from '../saga/with-client.ts';
import { withJournal } from '../saga/with-journal.ts';

const HELP = `
BYTES is a number of bytes per second for each disk, such as 50M; 0 lifts the limit.

A monitor serves one client at a time. While the process that runs a saga is alive, it holds the monitor: this command asks
it through the journal, where it looks twice a second, and it sets the speed; one that does not hear within half a minute
is reported. Where that process has ended, this command speaks to the saga's QEMU. Either way a resume keeps the speed.
With --job the monitor named by --qmp must be free: start QEMU with a second one.

It is refused when nothing copies any more: QEMU takes no speed for a job that is pending or concluded, nor in the moment
in which the guest is paused to be switched.

Examples:
  $ blocksaga set-speed 4kq2p9v1x0c7m 50M
  $ blocksaga set-speed 4kq2p9v1x0c7m 0
  $ blocksaga set-speed --qmp /run/vm.qmp --job drive-mirror0 10M

Exit status: 0 set, 2 refused.`;

interface Options {
  readonly qmp?: string;
  readonly job?: string;
  readonly journal?: string;
  readonly json?: boolean;
}

export function defineSetSpeed(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('set-speed')
    .summary('limit how fast a saga, or one job, copies')
    .description("Sets the speed of a saga's block jobs, or of any one job.")
    .usage('[options] <saga> <bytes>  |  --qmp <address> --job <id> <bytes>')
    .argument('<what...>', "the saga's id unless --job is there, then bytes per second")
    .option('--qmp <address>', "with --job: QEMU's monitor; else only where the journal's address is wrong")
    .option('--job <id>', 'one job, as "blocksaga jobs" lists them, instead of a saga')
    .addHelpText('after', HELP);
  addJsonOption(addJournalOption(command), 'one JSON object').action(
    async (words: readonly string[], options: Options) => {
      const wanted = options.job === undefined ? 2 : 1;
      if (words.length !== wanted) {
        const form = wanted === 2 ? 'SAGA BYTES' : '--qmp ADDRESS --job ID BYTES';
        throw new BlocksagaError('REQUEST_INVALID', `say ${form}; see blocksaga set-speed --help`);
      }
      const bytesPerSecond = readBytes('set-speed')(words.at(-1) ?? '');
      const what =
        options.job === undefined
          ? await ofSaga(words[0] ?? '', bytesPerSecond, options, context)
          : await ofJob(options.job, bytesPerSecond, options, context);
      if (options.json) context.write(jsonLine({ type: 'speed', ...what, bytesPerSecond }));
      else context.write(`${inWords(what)}: ${speedInWords(bytesPerSecond)}`);
      finished(EXIT.done);
    },
  );
}

interface What {
  readonly saga: string | null;
  readonly job: string | null;
}

function inWords({ saga, job }: What): string {
  return saga === null ? `job ${job}` : `saga ${saga}`;
}

function speedInWords(bytesPerSecond: number): string {
  return bytesPerSecond === 0 ? 'no limit' : `${growingSizeInWords(bytesPerSecond)}/s at most, for each disk`;
}

async function ofSaga(
  id: string,
  bytesPerSecond: number,
  options: Options,
  context: CliContext,
): Promise<What> {
  await withJournal(openExistingJournal(journalOf(options, context)), context, journal =>
    setSagaSpeed(checkedJournal(journal), id, bytesPerSecond, options, context),
  );
  return { saga: id, job: null };
}

async function setSagaSpeed(
  journal: Journal,
  id: string,
  bytesPerSecond: number,
  options: Options,
  context: CliContext,
): Promise<void> {
  const row = journal.saga(id);
  if (row === undefined) throw sagaIsUnknown(id);
  if (row.state !== 'open') throw sagaHasEnded(id, row.state);
  const plan = planToResume(row);
  expectSpeed(plan, bytesPerSecond);
  if (isHeldNow(row, context.clock)) {
    await setSpeedElsewhere(journal, row, plan, bytesPerSecond, context.clock);
    return;
  }
  const address = options.qmp ?? row.address;
  if (address === '') {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `saga ${id} was begun without an address: say where its QEMU is (--qmp)`,
      {
        saga: id,
      },
    );
  }
  await withClient(address, context, async qmp => {
    if (plan.marksQemu) await expectMark(qmp, plan);
    const decided = journal.records(id).some(({ kind }) => kind === 'decision');
    await setJobSpeeds(plan, bytesPerSecond, decided, qmp);
  });
  await whenFree(context.clock, within => journal.ask(id, SET_SPEED, bytesPerSecond, within));
}

async function ofJob(
  job: string,
  bytesPerSecond: number,
  { qmp }: Options,
  context: CliContext,
): Promise<What> {
  if (qmp === undefined) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      '--job needs --qmp: the monitor of the QEMU that has the job',
    );
  }
  await withClient(qmp, context, async client => {
    const jobs = createJobs(client);
    const info = (await jobs.list([job])).get(job);
    if (info === undefined) {
      const why = `there is no job "${job}" in this QEMU: "blocksaga jobs --qmp ${qmp}" lists them`;
      throw new BlocksagaError('REQUEST_INVALID', why);
    }
    if (!isVerbAllowed('set-speed', info.status)) {
      throw new BlocksagaError(
        'SAGA_STATE',
        `job ${job} is ${info.status} and copies no more: a speed would have no effect`,
      );
    }
    const [reply] = await jobs.setSpeed([job], bytesPerSecond);
    if (reply !== undefined && !reply.ok) throw reply.error;
  });
  return { saga: null, job };
}
