/** The options that commands share, declared and read in one place so that they mean the same everywhere. */
import type { Command, Option } from 'commander';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import type { Program } from '../../plan/plan.ts';
import type { CliContext } from '../print/context.ts';
import { absoluteFile, collect, journalFile, readCount, readNames, socketAddress } from './option-values.ts';

/** What commander gives for the options of {@link addSagaOptions}. */
export interface SagaOptions {
  readonly qmp: string;
  readonly disk: readonly string[];
  readonly journal?: string;
  readonly json?: boolean;
  readonly plan?: boolean;
  readonly inspect?: string;
  readonly trace?: string;
  readonly vm?: string;
  readonly id?: string;
  readonly without?: readonly string[];
  readonly maxBlackout?: number;
  readonly onCommit?: string;
  readonly onCommitArg?: readonly string[];
  readonly onCommitEnv?: readonly string[];
  readonly onCommitTimeout?: number;
}

const JOURNAL_HELP = 'the journal (default: $BLOCKSAGA_JOURNAL, else $XDG_STATE_HOME/blocksaga/journal.db)';

const QMP_OPTION = [
  '--qmp <address>',
  "QEMU's monitor: the path of its UNIX socket, or HOST:PORT on this machine",
] as const;

/** Where what goes over the monitor is kept. */
export const TRACE_OPTION = [
  '--trace <file>',
  'keep what goes over the monitor in this file, without its secrets; "blocksaga inspect --trace" shows it',
] as const;

/** What is promised of a journal that was put back from a copy. */
export const ACCEPT_RESTORED_OPTION = [
  '--accept-restored',
  'the journal is an older copy: promise that nothing was done to this saga after it was made',
] as const;

/** Whether an option is the monitor of the guest that a command is about, and no other one. */
export function isMonitorOfGuest({ long, description }: Option): boolean {
  return long === '--qmp' && description === QMP_OPTION[1];
}

export function addQmpOption(command: Command): Command {
  return command.requiredOption(...QMP_OPTION);
}

export function addJournalOption(command: Command): Command {
  return command.option('--journal <file>', JOURNAL_HELP);
}

/** For commands that show several at once; what can be said of each is read by `readJournals`. */
export function addJournalsOption(command: Command): Command {
  return command.option('--journal <file>', `${JOURNAL_HELP}; repeatable, see below`, collect);
}

export function addJsonOption(command: Command, what: string): Command {
  return command.option('--json', what);
}

/** What every command has that changes disks; one that can do without QEMU sees to `--qmp` itself. */
export function addSagaOptions(command: Command, { needsMonitor = true } = {}): Command {
  if (needsMonitor) addQmpOption(command);
  else command.option(...QMP_OPTION);
  addOnCommitOptions(command, 'told of the new disks after the decision, see below');
  command
    .option(
      '--max-blackout <ms>',
      'how long the guest may be paused, milliseconds (default: 1000)',
      readCount('--max-blackout'),
    )
    .option(...TRACE_OPTION)
    .option(
      '--inspect <address>',
      "where a page or XState's inspector takes inspection events (ws://127.0.0.1:...)",
    )
    .option('--plan', 'print what would be done; QEMU sees only queries')
    .option('--without <names>', 'act as if QEMU lacked these capabilities (a,b,...)', readNames)
    .option('--vm <name>', "the VM's name in the journal (default: QEMU's UUID or name, else the address)")
    .option('--id <id>', 'the id of this request: submitted twice, it is done once');
  addJournalOption(command);
  return addJsonOption(command, 'newline-delimited JSON on standard output, see below');
}

/** The program that is told of the new disks, and how it is run. */
export function addOnCommitOptions(command: Command, what: string): Command {
  return command
    .option('--on-commit <program>', what)
    .option('--on-commit-arg <arg>', 'an argument for that program, kept in the journal; repeatable', collect)
    .option('--on-commit-env <name>', 'a variable that must be in its environment; repeatable', collect)
    .option(
      '--on-commit-timeout <seconds>',
      'how long it may take (default: 60)',
      readCount('--on-commit-timeout'),
    );
}

/** What commander gives for {@link addOnCommitOptions}. */
export type OnCommitOptions = Pick<
  SagaOptions,
  'onCommit' | 'onCommitArg' | 'onCommitEnv' | 'onCommitTimeout'
>;

/** The members of a request that these options give. */
export function sagaRequest(options: SagaOptions, context: CliContext) {
  const { id, vm, without, maxBlackout: maxBlackoutMs } = options;
  return {
    qmp: socketAddress(options.qmp, context),
    ...definedOnly({ id, vm, without, maxBlackoutMs }),
    ...onCommitOption(options, context),
  };
}

/** The program to be told of the new disks. Throws REQUEST_INVALID for what goes with one without it, and for a variable that is not set. */
export function onCommitOption(
  { onCommit, onCommitArg = [], onCommitEnv = [], onCommitTimeout }: OnCommitOptions,
  context: CliContext,
): { readonly onCommit?: Program } {
  if (onCommit === undefined) {
    if (onCommitArg.length + onCommitEnv.length === 0 && onCommitTimeout === undefined) return {};
    throw new BlocksagaError(
      'REQUEST_INVALID',
      '--on-commit-arg, --on-commit-env and --on-commit-timeout go with --on-commit, which is not there',
    );
  }
  const unset = onCommitEnv.find(name => context.env[name] === undefined);
  if (unset !== undefined) {
    const why = `--on-commit-env ${unset}: there is no such variable in the environment`;
    throw new BlocksagaError('REQUEST_INVALID', why);
  }
  // A bare name is looked for in PATH; a resume may run in another directory.
  const program = onCommit.includes('/') ? absoluteFile(onCommit, context) : onCommit;
  return {
    onCommit: {
      program,
      arguments: onCommitArg,
      ...(onCommitEnv.length === 0 ? {} : { environment: onCommitEnv }),
      ...(onCommitTimeout === undefined ? {} : { timeoutMs: onCommitTimeout * 1000 }),
    },
  };
}

/** Where the journal of these options is. */
export function journalOf(options: { readonly journal?: string }, context: CliContext): string {
  return journalFile(options.journal, context);
}

/** Which names of a disk a command takes. */
export const DISK_HELP =
  'DISK is a node name, a device id, or the file of the active image, as "blocksaga chain" lists them.';

/** What `--json` means wherever a saga is told of. */
export const SAGA_JSON_HELP = `
With --json, one line is one JSON object with a "type": first "saga" (id, vm, operation), then "event" (a state of the
saga was entered) and "progress" (bytes of one disk's job), last "result" with saga, operation, outcome (committed,
rolledBack, needsRecovery, or ready after --finish leave), strategy, disks, blackoutMs, error and leftovers. What is
refused has only the "result" line, with "saga": null and "outcome": "refused".

Ctrl-C rolls the saga back; a second one leaves as soon as the guest is not paused for it, with the saga open in the
journal. SIGTERM, SIGHUP and SIGQUIT do the same.`;

/** What `--on-commit` means wherever it is. */
const ON_COMMIT_HELP = `
--on-commit runs a program, without a shell, as soon as the disks are switched: one line of JSON on its standard input
("saga", "vm", "operation", and "disks" with disk, qdev, file, format, chain and before) and status 0 when it has taken
it. It may be told twice. When it fails it is run again for some minutes, and then by every resume; nothing that it does
rolls the disks back. It must not remove the images in "before": they may be open until the saga has ended.
Its name and its arguments are kept in the journal, and shown by "blocksaga show": a secret is for a file that an argument
names, or for the environment, which the program inherits. --on-commit-env NAME keeps only the name, refuses where it is not
set, and says so when a resume lacks it. A program that hangs is ended with all that it has begun, by SIGTERM and two
seconds later SIGKILL: after --on-commit-timeout, or when Ctrl-C is pressed twice.`;

/** The end of `--help` of commands that begin a saga. */
export const SAGA_HELP = `${ON_COMMIT_HELP}
${SAGA_JSON_HELP} With --plan there is one line, "plan".

Exit status: 0 done as asked, 1 rolled back (no disk has changed), 2 refused before anything was touched,
3 needs recovery, 4 committed, but files that --delete was to remove are still there, or the next boot would not find
an image, 70 a bug of blocksaga (no guest is left paused for it, and "blocksaga resume" continues). Output that cannot be
written, on a full disk or to a reader that has gone, changes none of that.`;
