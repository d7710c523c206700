/** `blocksaga pivot` and `blocksaga abort`: what a saga that waits, or whose process died, is asked from outside. */
import { type Command, Option } from 'commander';
import type { Engine } from '../../engine/api.ts';
import { checkedJournal } from '../../engine/durable/checked-journal.ts';
import { GROUP } from '../../engine/durable/group-register.ts';
import { expectNewestOrAccept } from '../../engine/durable/newest-journal.ts';
import type { SignalName } from '../../engine/durable/signals.ts';
import { planToResume } from '../../engine/recovery/plan-to-resume.ts';
import { refuseSignal } from '../../engine/resume.ts';
import { BlocksagaError } from '../../errors.ts';
import type { Journal, SagaRow } from '../../journal/journal.ts';
import { isHeldNow } from '../../journal/lease.ts';
import { whenFree } from '../../journal/waiting.ts';
import type { Clock } from '../../qmp/clock.ts';
import {
  addJournalOption,
  addJsonOption,
  journalOf,
  SAGA_JSON_HELP,
  TRACE_OPTION,
} from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, exitStatusOfEnd, type Finished } from '../print/exit-status.ts';
import { jsonLine } from '../print/json-lines.ts';
import { openExistingJournal } from '../saga/read-journal.ts';
import { followGroup, statusOfGroup } from '../saga/run-group.ts';
import { followSaga } from '../saga/run-saga-command.ts';
import { tellIfUnknown } from '../saga/tell-age.ts';
import { withJournal } from '../saga/with-journal.ts';
import { addGuestOption, resumeOptions } from './resume.ts';

const PIVOT_HELP = `
While the process that waits at READY is alive, this command asks it through the journal to switch, and waits for the end,
or with --no-wait only asks. Where that process has ended, this command switches itself.

Examples:
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=/new/a.qcow2 --finish leave --id night
  $ blocksaga pivot night
  $ blocksaga pivot night --json
${SAGA_JSON_HELP}

Exit status: 0 all disks are switched, 1 rolled back (no disk has changed), 2 refused before anything was touched,
3 needs recovery.`;

const ABORT_HELP = `
A saga that has taken its decision only rolls forward: "blocksaga resume" ends it. The id of a group rolls all of its members
back.
Of a snapshot with mirrors, --keep-snapshot takes only the mirrors away: the disks stay on their overlays.
Of a copy that waits at READY, --keep-copies ends the mirrors and keeps the copies as one instant of all disks, as
"copy --finish clone" does: the guest stays on its images, and is paused for a moment.

While the process that runs the saga is alive, this command asks it through the journal, where it looks twice a second.
The process rolls back at its next safe point; this command waits for the end, or with --no-wait only asks. A process that
does not hear within half a minute is stopped or hangs: "blocksaga resume --force" takes the saga from it, and does what
was asked. Where the process has ended, this command rolls the saga back itself, and waits.

Examples:
  $ blocksaga abort night
  $ blocksaga abort 4kq2p9v1x0c7m --json
  $ blocksaga abort move --keep-snapshot
  $ blocksaga abort night --keep-copies
  $ blocksaga abort nightly-2026-11-29
${SAGA_JSON_HELP}

Exit status: 0 rolled back (or the snapshot or the copies kept, as asked), 1 rolled back instead of kept, 2 refused before
anything was touched, 3 needs recovery.`;

interface SignalOptions {
  readonly keepSnapshot?: boolean;
  readonly keepCopies?: boolean;
  readonly qmp?: string;
  readonly acceptRestored?: boolean;
  readonly trace?: string;
  readonly journal?: string;
  readonly json?: boolean;
  readonly wait: boolean;
}

export function definePivot(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('pivot')
    .summary('switch the disks of a saga that waits at READY')
    .description(
      'Switches all disks of a saga that waits at READY (copy --finish leave, snapshot with mirrors), or none.',
    )
    .addHelpText('after', PIVOT_HELP);
  addSignal('pivot', command, context, finished);
}

export function defineAbort(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('abort')
    .summary('roll a saga back')
    .description(
      'Rolls back a saga before its decision, whether its process runs, waits at READY, or has died.',
    )
    .option('--keep-snapshot', 'of a snapshot with mirrors: take only the mirrors away')
    .addOption(
      new Option('--keep-copies', 'of a copy that waits: keep the copies of one instant').conflicts(
        'keepSnapshot',
      ),
    )
    .addHelpText('after', ABORT_HELP);
  addSignal('abort', command, context, finished);
}

function addSignal(
  signal: 'pivot' | 'abort',
  command: Command,
  context: CliContext,
  finished: Finished,
): void {
  command.argument('<saga>', 'the saga\'s id, as "blocksaga sagas" lists them');
  command.option('--no-wait', 'only ask the process that runs it');
  addGuestOption(command).option(...TRACE_OPTION);
  addJsonOption(addJournalOption(command), 'newline-delimited JSON on standard output, see below').action(
    async (id: string, options: SignalOptions) => {
      const asked = options.keepSnapshot ? 'keepSnapshot' : options.keepCopies ? 'keepCopies' : signal;
      const status = await withJournal(
        checkedJournal(openExistingJournal(journalOf(options, context))),
        context,
        async journal => {
          tellIfUnknown(journal, id, context);
          const group = journal.saga(id);
          if (group?.operation === GROUP && asked === 'abort')
            return abortGroup(group, journal, options, context);
          if (!options.wait && (await askLiving(journal, id, asked, options, context.clock))) {
            if (options.json) context.write(jsonLine({ type: 'asked', saga: id, signal: asked }));
            else
              context.write(`saga ${id}: asked: ${asked}; "blocksaga show ${id}" tells what becomes of it`);
            return EXIT.done;
          }
          const { result } = await followSaga(
            engine => engine.resume(id, { ...resumeOptions(options, context), signal: asked }),
            journal,
            options,
            context,
          );
          return exitStatusOfEnd(result, asked);
        },
      );
      finished(status);
    },
  );
}

/** Rolls all members back; the group's own process is asked where it is alive. */
async function abortGroup(
  { id }: SagaRow,
  journal: Journal,
  options: SignalOptions,
  context: CliContext,
): Promise<number> {
  if (!options.wait || options.qmp !== undefined) {
    const why = `${id} is a group: --no-wait and --qmp go with one of its members`;
    throw new BlocksagaError('REQUEST_INVALID', why, { saga: id });
  }
  const start = async (engine: Engine) => {
    const group = await engine.resumeGroup(id, resumeOptions(options, context));
    return { ...group, result: group.abort() };
  };
  return statusOfGroup(await followGroup(start, journal, options, context), true);
}

/** Whether a living process runs the saga, which has been asked then. Throws SAGA_STATE for what comes too late. */
async function askLiving(
  journal: Journal,
  id: string,
  signal: SignalName,
  options: SignalOptions,
  clock: Clock,
): Promise<boolean> {
  const row = journal.saga(id);
  if (row?.state !== 'open' || !isHeldNow(row, clock)) return false;
  expectNewestOrAccept(journal, row, options);
  refuseSignal(row, planToResume(row), journal.records(id), signal);
  await whenFree(clock, within => journal.ask(id, signal, null, within));
  return true;
}
