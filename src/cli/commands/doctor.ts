/** `blocksaga doctor`: what dead sagas left, what it is, and what to do. Only tells and, with `--fix`, has it removed. */
import type { Command } from 'commander';
import { examine, removeFindings } from '../../engine/doctor/doctor.ts';
import { type Finding, silentQemu } from '../../engine/doctor/finding.ts';
import { BlocksagaError } from '../../errors.ts';
import { isJournalThere } from '../../journal/look-for-file.ts';
import { expectWhole } from '../../journal/sqlite-file.ts';
import type { QmpClient } from '../../qmp/client.ts';
import {
  ACCEPT_RESTORED_OPTION,
  addJournalOption,
  addJsonOption,
  journalOf,
} from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { jsonLine } from '../print/json-lines.ts';
import { openExistingJournal } from '../saga/read-journal.ts';
import { withClient } from '../saga/with-client.ts';
import { withJournal } from '../saga/with-journal.ts';

const HELP = `
Looks at the journal, at the files of sagas that were rolled back, and with --qmp at a guest's QEMU: jobs, nodes,
throttle groups, and whether the guest is paused. --fix removes what a saga made that has ended and that nothing uses.
It touches nothing of an open saga, which "blocksaga resume" ends, and nothing that no saga of this journal has made. Of
a journal's sagas it reads those that have not ended or left something behind, and the newest hundred; --all reads every
one, and checks the whole file. A journal that is lost or damaged can be set aside: then every trace belongs to an
unknown saga, is shown, and left alone. On the word of a journal that is an older copy, put back from a backup, nothing
is removed unless you say --accept-restored.

Examples:
  $ blocksaga doctor
  $ blocksaga doctor --qmp /run/vm.qmp
  $ blocksaga doctor --qmp /run/vm.qmp --fix --json

With --json there is one line for each find, with "type": "finding", kind, name, saga, why, removable and removed.

Exit status: 0 nothing is left, 2 refused, 3 something is left that needs a person.`;

interface DoctorCommandOptions {
  readonly qmp?: string;
  readonly fix?: boolean;
  readonly acceptRestored?: boolean;
  readonly all?: boolean;
  readonly journal?: string;
  readonly json?: boolean;
}

interface Told {
  readonly finding: Finding;
  readonly removed: boolean;
  readonly why: string;
}

export function defineDoctor(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('doctor')
    .summary('find what dead sagas left behind, and say what to do')
    .description('Finds what sagas left behind whose process or QEMU died, and explains each find.')
    .option('--qmp <address>', "a guest's monitor, to look into its QEMU too")
    .option('--all', 'check the whole journal, and read every saga of it')
    .option('--fix', 'remove what is provably left over from ended sagas and unused')
    .option(...ACCEPT_RESTORED_OPTION)
    .addHelpText('after', HELP);
  addJsonOption(addJournalOption(command), 'one JSON object per find').action(
    async (options: DoctorCommandOptions) => {
      const visit = (qmp?: QmpClient) => visitAll(options, context, qmp);
      const told =
        options.qmp === undefined
          ? await visit()
          : await withClient(options.qmp, context, visit).catch(async error => {
              if (!(error instanceof BlocksagaError) || error.code !== 'QMP_CONNECT') throw error;
              return [onlyTold(silentQemu(options.qmp ?? '', error)), ...(await visit())];
            });
      for (const line of options.json ? told.map(inJson) : inWords(told, options.fix === true)) {
        context.write(line);
      }
      finished(told.every(({ removed }) => removed) ? EXIT.done : EXIT.needsRecovery);
    },
  );
}

async function visitAll(
  options: DoctorCommandOptions,
  context: CliContext,
  qmp: QmpClient | undefined,
): Promise<readonly Told[]> {
  const file = journalOf(options, context);
  if (options.all && isJournalThere(file)) expectWhole(file);
  return withJournal(openExistingJournal(file), context, async journal => {
    const findings = await examine({
      journal,
      readAll: options.all === true,
      acceptRestored: options.acceptRestored === true,
      ...(qmp === undefined ? {} : { qmp }),
    });
    if (options.fix) return removeFindings(findings);
    return findings.map(onlyTold);
  });
}

function onlyTold(finding: Finding): Told {
  return { finding, removed: false, why: finding.why };
}

function inJson({ finding, removed, why }: Told): string {
  const { kind, name, saga, removable } = finding;
  return jsonLine({ type: 'finding', kind, name, saga, why, removable, removed });
}

function inWords(told: readonly Told[], fix: boolean): readonly string[] {
  if (told.length === 0) return ['nothing is left of any dead saga'];
  const removable = told.filter(({ finding, removed }) => finding.removable && !removed).length;
  return [
    ...told.map(
      ({ finding, removed, why }) => `${finding.kind} ${finding.name}: ${removed ? 'removed; ' : ''}${why}`,
    ),
    ...(removable > 0 && !fix ? [`--fix removes ${removable} of them`] : []),
  ];
}
