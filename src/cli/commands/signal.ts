/** `blocksaga pivot` and `blocksaga abort`: what a saga that waits, or whose process died, is asked from outside. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { exitStatusOfEnd, type Finished } from '../exit-status.ts';
import { openExistingJournal } from '../read-journal.ts';
import { followSaga } from '../run-saga-command.ts';
import { addJournalOption, addJsonOption, journalOf, SAGA_JSON_HELP } from '../shared-options.ts';
import { addGuestOption, resumeOptions } from './resume.ts';

const PIVOT_HELP = `
Examples:
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=/new/a.qcow2 --finish leave --id night
  $ blocksaga pivot night
  $ blocksaga pivot night --json
${SAGA_JSON_HELP}

Exit status: 0 all disks are switched, 1 rolled back (no disk has changed), 2 refused before anything was touched,
3 needs recovery.`;

const ABORT_HELP = `
A saga that has taken its decision only goes forward: "blocksaga resume" ends it.
Of a snapshot with mirrors, --keep-snapshot takes only the mirrors away: the disks stay on their overlays.

Examples:
  $ blocksaga abort night
  $ blocksaga abort 4kq2p9v1x0c7m --json
  $ blocksaga abort move --keep-snapshot
${SAGA_JSON_HELP}

Exit status: 0 everything is taken back (or the snapshot kept, as asked), 2 refused before anything was touched, 3 needs recovery.`;

interface SignalOptions {
  readonly keepSnapshot?: boolean;
  readonly qmp?: string;
  readonly journal?: string;
  readonly json?: boolean;
}

export function definePivot(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('pivot')
    .summary('switch a copy that waits at READY')
    .description('Switches all disks of a copy that waits at READY (copy --finish leave), or none.')
    .addHelpText('after', PIVOT_HELP);
  addSignal('pivot', command, context, finished);
}

export function defineAbort(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('abort')
    .summary('take a saga back whose process has ended')
    .description('Takes back a saga that waits at READY, or whose process died before its decision.')
    .option('--keep-snapshot', 'of a snapshot with mirrors: take only the mirrors away')
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
  addGuestOption(command);
  addJsonOption(addJournalOption(command), 'newline-delimited JSON on standard output, see below').action(
    async (id: string, options: SignalOptions) => {
      const asked = options.keepSnapshot ? 'keepSnapshot' : signal;
      const journal = openExistingJournal(journalOf(options, context));
      try {
        const { result } = await followSaga(
          engine => engine.resume(id, { ...resumeOptions(options, context), signal: asked }),
          journal,
          options,
          context,
        );
        finished(exitStatusOfEnd(result, asked));
      } finally {
        await journal.close();
      }
    },
  );
}
